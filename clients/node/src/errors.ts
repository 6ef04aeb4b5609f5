/** What can go wrong, rebuilt from the server's status and its ErrorInfo reason. */

import { type ServiceError, status } from "@grpc/grpc-js";

import { ErrorInfo, RetryInfo } from "./generated/google/rpc/error_details.js";
import { Status } from "./generated/google/rpc/status.js";

/** A search that failed. */
export class SearchError extends Error {
  constructor(
    message: string,
    /** One word for programs: QUERY_EMPTY, NO_SHARDS, QUEUE_FULL, ... */
    readonly reason: string = "",
    /** What the server's log calls it. */
    readonly requestId: string = "",
    /** Seconds, undefined when trying again does not help. */
    readonly retryAfter?: number,
    /** Whether a server said so; false where nobody answered. */
    readonly refused: boolean = false,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

/** What was sent cannot be used. */
export class InvalidInput extends SearchError {}
/** A named thing does not exist. */
export class NotFound extends SearchError {}
/** Models or versions disagree. */
export class Mismatch extends SearchError {}
/** The server has enough to do; try again after `retryAfter` seconds. */
export class Overloaded extends SearchError {}
/** A process that is needed does not answer; try again after `retryAfter` seconds. */
export class Unavailable extends SearchError {}
/** The timeout passed. */
export class DeadlineExceeded extends SearchError {}
/** Client or service could not show who they are. */
export class Unauthenticated extends SearchError {}
/** The token does not allow it. */
export class PermissionDenied extends SearchError {}

const KINDS = new Map<number, typeof SearchError>([
  [status.INVALID_ARGUMENT, InvalidInput],
  [status.NOT_FOUND, NotFound],
  [status.FAILED_PRECONDITION, Mismatch],
  [status.RESOURCE_EXHAUSTED, Overloaded],
  [status.UNAVAILABLE, Unavailable],
  [status.DEADLINE_EXCEEDED, DeadlineExceeded],
  [status.UNAUTHENTICATED, Unauthenticated],
  [status.PERMISSION_DENIED, PermissionDenied],
]);
const DETAILS = "grpc-status-details-bin";
/** Seconds after which a connection that failed is worth another try. */
const CONNECT_AGAIN = 1;

/** Return the error of a failed call to `address`. */
export function fromCall(error: ServiceError, address: string): Error {
  const detail = error.metadata?.get(DETAILS)[0];
  if (detail instanceof Uint8Array) return fromStatus(Status.decode(detail));
  const reason = status[error.code] ?? "UNKNOWN";
  switch (error.code) {
    case undefined:
      return error;
    case status.RESOURCE_EXHAUSTED:
      if (!error.details.includes("larger than max")) break;
      return new InvalidInput(
        `the request is too large (${error.details}); send fewer or shorter queries`,
        "MESSAGE_TOO_LARGE",
      );
    case status.UNIMPLEMENTED:
      return new SearchError(
        `what answers at ${address} has no SPR searches; ask a coordinator, at port 7400 by default`,
        "WRONG_PORT",
      );
    case status.UNAVAILABLE: {
      const fault = faultOfTls(error.details);
      if (fault) return new Unauthenticated(`no connection to ${address}: ${fault}`, "TLS_FAILED");
      const message = `nothing answers at ${address} (${whyUnreachable(error.details)})`;
      return new Unavailable(message, reason, "", CONNECT_AGAIN);
    }
  }
  const Kind = KINDS.get(error.code) ?? SearchError;
  return new Kind(error.details || reason, reason);
}

/** Return the error of a google.rpc.Status, as in an entry of a batch. */
export function fromStatus(told: Status): SearchError {
  let info = ErrorInfo.create();
  let retryAfter: number | undefined;
  for (const detail of told.details) {
    if (detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) info = ErrorInfo.decode(detail.value);
    if (detail.typeUrl.endsWith("/google.rpc.RetryInfo")) {
      const { seconds, nanos } = RetryInfo.decode(detail.value).retryDelay ?? { seconds: 0, nanos: 0 };
      retryAfter = seconds + nanos / 1e9;
    }
  }
  const Kind = KINDS.get(told.code) ?? SearchError;
  return new Kind(told.message, info.reason, info.metadata["request_id"] ?? "", retryAfter, true);
}

function whyUnreachable(told: string): string {
  const why = /Last error: (?:Error: )?(.+?)(?:\. )?Resolution note/s.exec(told)?.[1] ?? told.split("\n")[0] ?? told;
  // So gRPC puts it where the connection was made, and ended without a word.
  return why.startsWith("Failed to connect")
    ? "it closes connections at once: set SPR_CA if it wants TLS, SPR_CERT if a certificate"
    : why;
}

function faultOfTls(told: string): string | undefined {
  if (told.includes("certificate has expired")) {
    return "its certificate has ended, or this clock is ahead; `spr access certificates` makes it again";
  }
  if (told.includes("certificate is not yet valid")) {
    return "its certificate is not valid yet by this clock; set the clock that is wrong";
  }
  if (/self-signed|unable to (verify|get)|certificate signature/i.test(told)) {
    return "its certificate is not of the authority that SPR_CA names";
  }
  if (told.includes("altnames")) {
    return "its certificate does not have that name; `spr access certificates --host` adds one";
  }
  if (/wrong version number|packet length too long/i.test(told)) {
    return "it does not speak TLS; unset SPR_CA, or give the service [access]";
  }
  return undefined;
}
