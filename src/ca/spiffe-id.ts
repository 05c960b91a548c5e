import { isDeviceId } from '../identity/device-id.js';

/** SPIFFE IDs of a cluster, the URIs that its certificates carry (docs/divergences.md: IDs, not X509-SVIDs). */

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const DEVICE_URI = /^spiffe:\/\/([^/]*)\/device\/([^/]*)$/;

/** Whether `text` is a lower-case DNS name of at most 253 characters, as trust domains and server names are. */
export function isDnsName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => DNS_LABEL.test(label));
}

export const controlPlaneUri = (trustDomain: string): string => `spiffe://${trustDomain}/control-plane`;

/** The DNS name that every TLS door of the control plane has, whatever address it is reached by. */
export const controlPlaneDnsName = (trustDomain: string): string => `control-plane.${trustDomain}`;

export const deviceUri = (trustDomain: string, deviceId: string): string =>
  `spiffe://${trustDomain}/device/${deviceId}`;

/** Takes a device's URI apart; `undefined` when it is none or its device id is not canonical. */
export function parseDeviceUri(uri: string): { trustDomain: string; deviceId: string } | undefined {
  const [, trustDomain, deviceId] = DEVICE_URI.exec(uri) ?? [];
  if (trustDomain === undefined || deviceId === undefined || !isDeviceId(deviceId)) return undefined;
  return { trustDomain, deviceId };
}
