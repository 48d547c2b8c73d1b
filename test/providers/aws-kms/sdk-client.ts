/** @node The real SDK against the endpoint. */
import { KMSClient, type KMSClientConfig } from '@aws-sdk/client-kms'
import type { KmsEndpoint } from './endpoint.ts'

/** Retries as the SDK does by itself, unless `config` says otherwise. */
export function sdkClient(endpoint: KmsEndpoint, config: KMSClientConfig = {}): KMSClient {
  return new KMSClient({
    region: endpoint.region,
    endpoint: endpoint.url,
    credentials: endpoint.credentials,
    ...config,
  })
}
