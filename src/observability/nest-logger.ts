import type { LoggerService } from '@nestjs/common';
import type { Logger } from './logger.js';

/** Contexts in which Nest tells how it wires itself; of interest only when that goes wrong. */
const WIRING = new Set([
  'InstanceLoader',
  'NestApplication',
  'NestFactory',
  'NestMicroservice',
  'RouterExplorer',
  'RoutesResolver',
]);

/** Nest's own messages in our log. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...parameters: unknown[]): void {
    const context = contextOf(parameters);
    this.logger[WIRING.has(context ?? '') ? 'debug' : 'info']({ context }, String(message));
  }

  /** Nest passes a stack, our own code an error, before the context. */
  error(message: unknown, ...parameters: unknown[]): void {
    const detail = parameters.length > 1 || typeof parameters[0] !== 'string' ? parameters[0] : undefined;
    const cause = [message, detail].find((each) => each instanceof Error);
    this.logger.error(
      {
        context: contextOf(parameters),
        ...(cause === undefined ? {} : { err: cause }),
        ...(typeof detail === 'string' ? { stack: detail } : {}),
      },
      message instanceof Error ? message.message : String(message),
    );
  }

  warn(message: unknown, ...parameters: unknown[]): void {
    this.logger.warn({ context: contextOf(parameters) }, String(message));
  }

  debug(message: unknown, ...parameters: unknown[]): void {
    this.logger.debug({ context: contextOf(parameters) }, String(message));
  }

  verbose(message: unknown, ...parameters: unknown[]): void {
    this.logger.trace({ context: contextOf(parameters) }, String(message));
  }

  fatal(message: unknown, ...parameters: unknown[]): void {
    this.logger.fatal({ context: contextOf(parameters) }, String(message));
  }
}

function contextOf(parameters: readonly unknown[]): string | undefined {
  const last = parameters.at(-1);
  return typeof last === 'string' ? last : undefined;
}
