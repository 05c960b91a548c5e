import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Reasons of errors, as they stand in the source: found in its syntax, without running any of it. */

const REASON = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/;
const ERROR_CLASSES = new Set(['DomainError', 'ClientError']);

/** Every `UPPER_SNAKE` text that is handed on as the reason of an error, or stands in a field called `reason`. */
export function reasonsInSource(root: string): Set<string> {
  const files = sourceFiles(root);
  const positions = new Map([...files.flatMap(reasonParameters), ['DomainError', 1], ['ClientError', 1]]);
  const reasons = new Set<string>();
  for (const file of files) {
    visit(file, (node) => {
      const expression = reasonExpression(node, positions);
      if (expression === undefined) return;
      visit(expression, (inner) => {
        if (ts.isStringLiteral(inner) && REASON.test(inner.text)) reasons.add(inner.text);
      });
    });
  }
  return reasons;
}

function sourceFiles(root: string): ts.SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/\.(?:spec|contract)\.ts$/.test(path))
    .filter((path) => !path.startsWith('generated'))
    .map((path) =>
      ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.Latest, true),
    );
}

/** Functions with a parameter `reason`, and which one it is: calls of them hand a reason on. */
function reasonParameters(file: ts.SourceFile): [name: string, position: number][] {
  const found: [string, number][] = [];
  visit(file, (node) => {
    if (!ts.isFunctionLike(node)) return;
    const position = node.parameters.findIndex((parameter) => parameter.name.getText() === 'reason');
    const name = node.name?.getText() ?? nameOfVariable(node.parent);
    if (position >= 0 && name !== undefined) found.push([withoutHash(name), position]);
  });
  return found;
}

function nameOfVariable(node: ts.Node): string | undefined {
  return ts.isVariableDeclaration(node) ? node.name.getText() : undefined;
}

function reasonExpression(node: ts.Node, positions: ReadonlyMap<string, number>): ts.Node | undefined {
  if (ts.isNewExpression(node)) {
    const name = node.expression.getText();
    return ERROR_CLASSES.has(name) ? node.arguments?.[positions.get(name) ?? -1] : undefined;
  }
  if (ts.isCallExpression(node)) {
    const name = node.expression.getText().split('.').at(-1) ?? '';
    return node.arguments[positions.get(withoutHash(name)) ?? -1];
  }
  if (ts.isPropertyAssignment(node)) return node.name.getText() === 'reason' ? node.initializer : undefined;
  if (ts.isVariableDeclaration(node)) return isReasonTable(node) ? node.initializer : undefined;
  return reasonReturned(node);
}

/** `REASON_OF_ALERT`: a table from something to reasons. */
const isReasonTable = (node: ts.VariableDeclaration): boolean => node.name.getText().startsWith('REASON_OF_');

/** `type EnrolmentConflict = 'DEVICE_REVOKED' | …`, and functions called `…Reason` that return one. */
function reasonReturned(node: ts.Node): ts.Node | undefined {
  if (ts.isTypeAliasDeclaration(node)) return node.name.text.endsWith('Conflict') ? node.type : undefined;
  if (!ts.isArrowFunction(node)) return undefined;
  return nameOfVariable(node.parent)?.endsWith('Reason') === true ? node.body : undefined;
}

const withoutHash = (name: string): string => name.replace('#', '');

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  node.forEachChild((child) => {
    visit(child, look);
  });
}
