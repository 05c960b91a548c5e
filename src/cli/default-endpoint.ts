/** gRPC of a service on this machine. */
export const DEFAULT_ENDPOINT = '127.0.0.1:7443';
