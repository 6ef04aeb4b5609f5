/** Messages from and to plain values. */

import { InvalidInput, type SearchError } from "./errors.js";
import type { Duration } from "./generated/google/protobuf/duration.js";
import {
  GroupBy,
  Filter as FilterMessage,
  SearchParams,
  SearchRequest,
  type SearchResponse,
  type Video as VideoMessage,
} from "./generated/spr/v1/search_service.js";
import {
  Channel as ChannelMessage,
  type Coverage as CoverageMessage,
  DataType,
  DegradedReason,
  type Finding as FindingMessage,
  Finding_Method,
  type Moment as MomentMessage,
  type TimeSpan,
} from "./generated/spr/v1/types.js";
import { bad, check, optional, typed, whole } from "./known.js";
import type {
  Channel,
  Coverage,
  Embedding,
  Filter,
  Finding,
  Moment,
  SearchOptions,
  SearchResult,
  Video,
} from "./types.js";

const CHANNELS: Record<Channel, ChannelMessage> = {
  seen: ChannelMessage.CHANNEL_SEEN,
  said: ChannelMessage.CHANNEL_SAID,
  written: ChannelMessage.CHANNEL_WRITTEN,
};
const NAMES = Object.keys(CHANNELS) as Channel[];

/** What of the service is asked: collection and version, empty for the first and the active one. */
export interface Of {
  collection: string;
  version: string;
}

/** Return the request for a query; InvalidInput for what cannot be sent. */
export function toRequest(query: string | Embedding, options: SearchOptions, of: Of): SearchRequest {
  check(options);
  return SearchRequest.create({
    ...of,
    requestId: options.requestId ?? "",
    query: toQuery(query),
    pageSize: whole("pageSize", options.pageSize ?? 0),
    pageToken: options.pageToken ?? "",
    params: toParams(options),
    filter: options.filter && toFilter(options.filter),
  });
}

/** Return the requests of a batch, and the errors of queries that cannot be sent, by their row, in order. */
export function toRequests(
  queries: (string | Embedding)[],
  options: SearchOptions,
  of: Of,
): [SearchRequest[], [number, SearchError][]] {
  if (!Array.isArray(queries)) throw bad("a batch is a list of queries; give one query to `search`");
  toRequest("", options, of);
  const requests: SearchRequest[] = [];
  const refused: [number, SearchError][] = [];
  queries.forEach((query, row) => {
    try {
      requests.push(toRequest(query, options, of));
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      refused.push([row, error]);
    }
  });
  return [requests, refused];
}

/** Return a filter as it is sent. */
export function toFilter(filter: Filter): FilterMessage {
  const { start, end, part } = filter;
  const timed = start !== undefined || end !== undefined;
  if (part && timed) throw bad("start, end and part are two ways to say a part; give one of them");
  return FilterMessage.create({
    videoIds: filter.videos,
    anyLabels: filter.labels,
    allLabels: filter.allLabels,
    noLabels: filter.noLabels,
    folder: filter.folder,
    fromDate: toDate("after", filter.after),
    beforeDate: toDate("before", filter.before),
    minDuration: toDuration("longer", filter.longer),
    maxDuration: toDuration("shorter", filter.shorter),
    part: part
      ? { $case: "share", value: { start: part[0], end: part[1] } }
      : timed
        ? { $case: "span", value: { startOffset: toDuration("start", start ?? 0), endOffset: toDuration("end", end) } }
        : undefined,
  });
}

function toQuery(query: string | Embedding): SearchRequest["query"] {
  if (typeof query === "string") return { $case: "text", value: query };
  const values = query?.vector;
  if (!Array.isArray(values) && (!ArrayBuffer.isView(values) || values instanceof DataView)) {
    throw bad("the query is neither a sentence nor an Embedding; give one of the two");
  }
  const numbers = Array.from<unknown>(values as ArrayLike<unknown>);
  const odd = numbers.findIndex((value) => typeof value !== "number");
  if (odd >= 0) throw bad(`the vector has a ${typeof numbers[odd]} at ${odd}; give numbers`);
  const data = Buffer.alloc(numbers.length * 4);
  numbers.forEach((value, index) => data.writeFloatLE(value as number, index * 4));
  const tensor = { dtype: DataType.DATA_TYPE_FLOAT32, shape: [values.length], data };
  return { $case: "embedding", value: { tensor, modelId: query.model } };
}

function toParams(options: SearchOptions): SearchParams {
  return SearchParams.create({
    segmentTopK: optional("segmentTopK", options.segmentTopK),
    proposalTopK: optional("proposalTopK", options.proposalTopK),
    nprobe: optional("nprobe", options.nprobe),
    rerank: typed("rerank", "boolean", options.rerank),
    nmsIou: typed("nmsIou", "number", options.nmsIou),
    minCoverage: typed("minCoverage", "number", options.minCoverage),
    perVideo: optional("perVideo", options.perVideo),
    groupBy: typed("grouped", "boolean", options.grouped) ? GroupBy.GROUP_BY_VIDEO : undefined,
    facets: typed("facets", "boolean", options.facets),
    mergeDuplicates: typed("mergeDuplicates", "boolean", options.mergeDuplicates),
    channels: options.channels?.map(toChannel),
  });
}

/** Return one page of an answer. refined: whether it is the final list; read off the answer when not given. */
export function toResult(response: SearchResponse, refined?: boolean): SearchResult {
  const versions = response.versions;
  const timings = response.timings.map(({ stage, elapsed }) => [stage, seconds(elapsed)]);
  return {
    moments: response.moments.map(toMoment),
    total: response.totalMoments,
    nextPage: response.nextPageToken,
    requestId: response.requestId,
    coverage: toCoverage(response.coverage),
    collection: versions?.collection ?? "",
    version: versions?.generation ?? "",
    embeddingModel: versions?.embeddingModel ?? "",
    ranker: versions?.rankerModel ?? "",
    timings: Object.fromEntries(timings),
    refined: refined ?? Boolean(versions?.rankerModel),
    noConfidentMatch: response.noConfidentMatch,
    confidenceThreshold: response.confidenceThreshold,
    queryTruncated: response.queryTruncated,
    facets: response.facets,
    videosAllowed: response.videosAllowed,
  };
}

/** Return a video of a collection. */
export function toVideo(video: VideoMessage): Video {
  const { id, uri, labels, date, addTime } = video;
  return { id, uri, duration: seconds(video.duration), labels, date, added: addTime };
}

function toMoment(moment: MomentMessage): Moment {
  const source = moment.provenance;
  const [start, end] = ends(moment.span);
  const [proposalStart, proposalEnd] = ends(source?.proposalSpan);
  return {
    video: moment.videoId,
    start,
    end,
    rank: moment.rank,
    score: moment.score,
    refined: source?.refined ?? false,
    relevance: source?.relevance ?? 0,
    proposalStart,
    proposalEnd,
    proposalRank: source?.proposalRank ?? 0,
    uri: moment.uri,
    confidence: moment.confidence,
    alsoIn: moment.alsoIn.map(({ videoId, span }) => ({ video: videoId, start: ends(span)[0], end: ends(span)[1] })),
    foundBy: moment.foundBy.map(toFinding),
    best: moment.bestOffset && seconds(moment.bestOffset),
  };
}

function toFinding({ channel, method, rank, line }: FindingMessage): Finding {
  const [start, end] = ends(line?.span);
  const methods = { [Finding_Method.METHOD_MEANING]: "meaning", [Finding_Method.METHOD_WORDS]: "words" } as const;
  return {
    channel: NAMES.find((name) => CHANNELS[name] === channel),
    method: methods[method as keyof typeof methods],
    rank,
    line: line && { start, end, pieces: line.pieces, box: line.box },
  };
}

function toChannel(name: Channel): ChannelMessage {
  const channel = CHANNELS[name];
  if (channel === undefined) throw bad(`channels has ${JSON.stringify(name)}; give some of ${NAMES.join(", ")}`);
  return channel;
}

function toCoverage(coverage: CoverageMessage | undefined): Coverage {
  return {
    shardsTotal: coverage?.shardsTotal ?? 0,
    shardsAnswered: coverage?.shardsAnswered ?? 0,
    videosTotal: coverage?.videosTotal ?? 0,
    videosSearched: coverage?.videosSearched ?? 0,
    ratio: coverage?.ratio ?? 0,
    degraded: (coverage?.degraded ?? []).map((reason) => (DegradedReason[reason] ?? String(reason)).slice(16)),
    unreachable: coverage?.unreachable ?? [],
  };
}

function ends(span: TimeSpan | undefined): [number, number] {
  return [seconds(span?.startOffset), seconds(span?.endOffset)];
}

function seconds(duration: Duration | undefined): number {
  return duration ? duration.seconds + duration.nanos / 1e9 : 0;
}

function toDuration(name: string, given: number | undefined): Duration | undefined {
  if (given === undefined) return undefined;
  if (!(given >= 0 && given < 1e9)) throw bad(`${name} is ${given}; give seconds, 0 or more`);
  const nanos = Math.round((given % 1) * 1e9);
  return { seconds: Math.floor(given) + Math.floor(nanos / 1e9), nanos: nanos % 1e9 };
}

function toDate(name: string, given: Date | undefined): Date | undefined {
  if (given === undefined) return undefined;
  const at = given instanceof Date ? given.getTime() : NaN;
  if (Number.isNaN(at)) throw bad(`${name} is ${JSON.stringify(given)}; give a Date`);
  // The generated code cuts towards 1970, and the rest of a second before that would be negative.
  return at < 0 ? new Date(Math.floor(at / 1000) * 1000) : given;
}
