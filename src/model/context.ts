/** Who asks, from where, and on whose behalf: what a caller says about a call. */

export type ActorType = 'user' | 'serviceAccount' | 'client' | 'system'

export interface Actor {
  readonly type: ActorType
  readonly id: string
  readonly name?: string
}

/** The entry of another service that made this call necessary. */
export interface Origin {
  readonly service: string
  readonly eventID?: string
  readonly resource?: string
}

/** Why the call is made, for break-glass operations such as export. */
export interface Reason {
  readonly code: string
  readonly ticket?: string
}

/**
 * Context of one call. Bind it with `kms.with(…)` or pass it per call; fields given later win one by one. Text longer
 * than its cap is cut and marked `…#<length>`; a `clientIp` or `peerIp` that is not an IP address is dropped and flagged.
 */
export interface RequestContext {
  readonly actor?: Actor
  readonly clientIp?: string
  /** Address of the connection's other end: a proxy's, where `clientIp` is what that proxy tells. */
  readonly peerIp?: string
  readonly userAgent?: string
  readonly requestId?: string
  /** W3C Trace Context, e.g. `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. */
  readonly traceparent?: string
  /** HTTP method of the request that led here. */
  readonly method?: string
  /** The route's template such as `/orders/:id`; never the URL, never a query string. */
  readonly route?: string
  readonly origin?: Origin
  readonly reason?: Reason
}
