/** Nest's name for the QUIC transport: `@MessagePattern('node.health', QUIC)` binds a handler to this door only. */
export const QUIC: unique symbol = Symbol('QUIC');
