/** The client. */

import { type CallOptions, type ChannelCredentials, type ClientReadableStream, type ClientUnaryCall } from "@grpc/grpc-js";
import type { Metadata, ServiceError } from "@grpc/grpc-js";

import { Access, type Tls, type Token } from "./access.js";
import { ADDRESS, checked, opened } from "./channels.js";
import { InvalidInput, SearchError, fromCall, fromStatus } from "./errors.js";
import {
  type BatchSearchRequest,
  type BatchSearchResponse,
  ListVideosRequest,
  type ListVideosResponse,
  type ProgressiveSearchResponse,
  ProgressiveSearchResponse_Stage,
  type SearchRequest,
  type SearchResponse,
  SearchServiceClient,
} from "./generated/spr/v1/search_service.js";
import { check } from "./known.js";
import { RETRIES, Retries } from "./retrying.js";
import { type Of, toFilter, toRequest, toRequests, toResult, toVideo } from "./translate.js";
import type { Embedding, SearchOptions, SearchResult, Video, VideosOptions } from "./types.js";

/** How a client is made; what is not given comes from the environment, or is the server's choice. */
export interface ClientOptions {
  /** The name of the collection to search; the first that is served when not given. */
  collection?: string;
  /** Id or number of a prepared version to search in place of the active one. */
  version?: string;
  /** How often a call that the server refuses for now is asked again; default 3, 0: never. */
  retries?: number;
  /** Encryption; SPR_CA, SPR_CERT, SPR_KEY when not given. */
  tls?: Tls;
  /** SPR_TOKEN, SPR_TOKEN_FILE when not given. */
  token?: Token;
}

/** Milliseconds that a channel stays after its files have changed. */
const LINGER = 60_000;
/** Seconds of a timeout that is none: three years. */
const LONGEST = 1e8;

type Call<Request, Reply> = (
  stub: SearchServiceClient,
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  done: (error: ServiceError | null, reply: Reply) => void,
) => ClientUnaryCall;

/**
 * Asks one SPR service for moments. It opens its channel when first used; `close` ends it.
 *
 * address: HOST:PORT of a coordinator, or several: when one is gone, another is asked. Methods reject with a
 * SearchError or one of its kinds.
 */
export class Client {
  readonly #address: string;
  readonly #access: Access;
  readonly #of: Of;
  readonly #retries: Retries;
  #with: ChannelCredentials | undefined;
  #stub: Promise<SearchServiceClient> | undefined;

  constructor(address: string | string[] = ADDRESS, options: ClientOptions = {}) {
    this.#address = checked(address);
    this.#access = new Access(this.#address, options.tls, options.token);
    this.#of = { collection: options.collection ?? "", version: options.version ?? "" };
    this.#retries = new Retries(options.retries ?? RETRIES);
  }

  /** Return one page of moments for a sentence, or for a vector (which is answered unrefined). */
  async search(query: string | Embedding, options: SearchOptions = {}): Promise<SearchResult> {
    const request = toRequest(query, options, this.#of);
    return toResult(await this.#ask<SearchRequest, SearchResponse>((stub, ...call) => stub.search(...call), request, options));
  }

  /** Yield page after page of one ranked list, which does not shift meanwhile. The timeout is per page. */
  async *pages(query: string | Embedding, options: SearchOptions = {}): AsyncGenerator<SearchResult, void> {
    const { pageSize = 100, timeout, signal } = options;
    let page = await this.search(query, { ...options, pageSize });
    yield page;
    while (page.nextPage) {
      page = await this.search("", { pageSize, timeout, signal, pageToken: page.nextPage });
      yield page;
    }
  }

  /**
   * Return an answer or an error for each of up to 64 queries, in order. The timeout is for all.
   *
   * A query that cannot even be sent fails its own entry alone; other bad arguments reject.
   */
  async searchBatch(
    queries: (string | Embedding)[],
    options: SearchOptions = {},
  ): Promise<(SearchResult | SearchError)[]> {
    const [requests, refused] = toRequests(queries, options, this.#of);
    const call = { ...options, timeout: options.timeout ?? 60 };
    const reply = await this.#ask<BatchSearchRequest, BatchSearchResponse>(
      (stub, ...asked) => stub.batchSearch(...asked),
      { requests },
      call,
    );
    const answers = reply.entries.map(({ result }) => {
      if (result?.$case === "response") return toResult(result.value);
      return result ? fromStatus(result.value) : new SearchError("the entry is empty", "INTERNAL");
    });
    for (const [row, error] of refused) answers.splice(row, 0, error);
    return answers;
  }

  /** Yield the coarse answer as soon as it is there, then the refined one, which replaces it. */
  async *searchProgressive(
    query: string | Embedding,
    options: SearchOptions = {},
  ): AsyncGenerator<SearchResult, void> {
    const request = toRequest(query, options, this.#of);
    const attempts = this.#retries.begin(seconds(options.timeout));
    for (let begun = false; ; ) {
      const stub = await this.#open();
      const stream = stub.progressiveSearch(request, this.#access.metadata, { deadline: attempts.deadline });
      try {
        for await (const message of followed(stream, options.signal)) {
          begun = true;
          attempts.answered();
          yield toResult(message.response!, message.stage === ProgressiveSearchResponse_Stage.STAGE_REFINED);
        }
        return;
      } catch (thrown) {
        const error = failure(thrown, this.#address, options.signal);
        if (begun) throw error;
        await attempts.wait(error, options.signal);
      }
    }
  }

  /** Yield the videos of the collection that a filter lets through, by id. The timeout is per page. */
  async *videos(options: VideosOptions = {}): AsyncGenerator<Video, void> {
    check(options);
    const { filter, pageSize = 1000 } = options;
    const request = ListVideosRequest.create({ ...this.#of, pageSize, filter: filter && toFilter(filter) });
    do {
      const page = await this.#ask<ListVideosRequest, ListVideosResponse>(
        (stub, ...call) => stub.listVideos(...call),
        request,
        options,
      );
      yield* page.videos.map(toVideo);
      request.pageToken = page.nextPageToken;
    } while (request.pageToken);
  }

  /** Close the channel; the next call opens another. */
  close(): void {
    end(this.#stub);
    this.#stub = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #ask<Request, Reply>(
    call: Call<Request, Reply>,
    request: Request,
    options: { timeout?: number; signal?: AbortSignal },
  ): Promise<Reply> {
    const { signal } = options;
    const once = async (deadline: Date | number): Promise<Reply> => {
      const stub = await this.#open();
      signal?.throwIfAborted();
      return new Promise((resolve, reject) => {
        const asked = call(stub, request, this.#access.metadata, { deadline }, (error, reply) => {
          signal?.removeEventListener("abort", cancel);
          if (error) reject(failure(error, this.#address, signal));
          else resolve(reply);
        });
        const cancel = (): void => asked.cancel();
        signal?.addEventListener("abort", cancel);
      });
    };
    return this.#retries.run(seconds(options.timeout), once, signal);
  }

  async #open(): Promise<SearchServiceClient> {
    const credentials = this.#access.credentials;
    if (!this.#stub || credentials !== this.#with) {
      // Calls that wait on the former channel would end with it: they have a while.
      const former = this.#stub;
      setTimeout(() => end(former), LINGER).unref();
      this.#with = credentials;
      this.#stub = opened(this.#address).then(
        ([target, settings]) => new SearchServiceClient(target, credentials, settings),
      );
      this.#stub.catch(() => (this.#stub = undefined));
    }
    return this.#stub;
  }
}

function end(stub: Promise<SearchServiceClient> | undefined): void {
  // One that was never opened has told its callers why.
  stub?.then((opened) => opened.close()).catch(() => {});
}

/** Yield a stream's messages; leaving the loop, or the signal, ends the call. */
async function* followed(
  stream: ClientReadableStream<ProgressiveSearchResponse>,
  signal?: AbortSignal,
): AsyncGenerator<ProgressiveSearchResponse, void> {
  const cancel = (): void => stream.cancel();
  // A cancelled call says so once more, when nobody reads it.
  stream.on("error", () => {});
  signal?.addEventListener("abort", cancel);
  try {
    signal?.throwIfAborted();
    yield* stream as AsyncIterable<ProgressiveSearchResponse>;
  } finally {
    signal?.removeEventListener("abort", cancel);
    stream.cancel();
  }
}

function failure(thrown: unknown, address: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  return thrown instanceof SearchError ? thrown : fromCall(thrown as ServiceError, address);
}

function seconds(timeout = 10): number {
  if (!(timeout > 0)) {
    throw new InvalidInput(`timeout is ${timeout}; give seconds above 0, or Infinity`, "BAD_PARAMETER");
  }
  // gRPC ends the whole process at a moment that it cannot write down.
  return timeout < LONGEST ? timeout : Infinity;
}
