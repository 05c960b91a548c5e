import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { CanonicalEncodingError, enc, type Field } from './canonical.js';

interface VectorField {
  text?: string;
  number?: number;
  bytes?: string;
  absent?: boolean;
  list?: VectorField[];
}
interface Vectors {
  encoded: { fields: VectorField[]; enc: string }[];
  refused: (VectorField & { case: string })[];
}

const vectors = JSON.parse(readFileSync('test/vectors/enc.json', 'utf8')) as Vectors;

function toField(field: VectorField): Field {
  if (field.text !== undefined) return field.text;
  if (field.number !== undefined) return field.number;
  if (field.bytes !== undefined) return Buffer.from(field.bytes, 'hex');
  if (field.list !== undefined) return field.list.map(toField);
  return null;
}

describe('enc', () => {
  it.each(vectors.encoded)('encodes $fields', ({ fields, enc: expected }) => {
    expect(enc(...fields.map(toField)).toString('hex')).toBe(expected);
  });

  const reasons: Record<string, CanonicalEncodingError['reason']> = {
    'text with U+0000': 'nul',
    'lone surrogate': 'surrogate',
    'negative number': 'number',
    'number above 2^53 - 1': 'number',
  };

  it.each(vectors.refused)('refuses $case', (field) => {
    let caught: unknown;
    try {
      enc(toField(field));
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CanonicalEncodingError);
    expect((caught as CanonicalEncodingError).reason).toBe(reasons[field.case]);
  });
});
