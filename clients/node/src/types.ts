/** Answers and questions as plain values. Times are seconds from the video's first frame; spans are half-open. */

/** One hit: `[start, end)` seconds of a video. */
export interface Moment {
  video: string;
  start: number;
  end: number;
  /** From 1, over all pages. */
  rank: number;
  /** Higher is better, within one result and among moments that are alike refined or not. */
  score: number;
  refined: boolean;
  /** The ranker's similarity; 0 where not refined. */
  relevance: number;
  /** The coarse moment it was refined from; the span itself where `refined` is false. */
  proposalStart: number;
  proposalEnd: number;
  proposalRank: number;
  /** The source file, as much of it as the server tells. */
  uri: string;
  /** The probability that the moment is relevant; undefined where the ranker says none. */
  confidence: number | undefined;
  /** Where the same pictures are in other videos, if mergeDuplicates asks for it. */
  alsoIn: Duplicate[];
  /** What found it, the best rank first; empty where no texts are searched. */
  foundBy: Finding[];
  /** The second that looks most like the query; undefined where not refined. */
  best: number | undefined;
}

/** Where something can be found: in the pictures, in subtitles and transcripts, in text on the screen. */
export type Channel = "seen" | "said" | "written";

/** A ranked list that a moment is in. */
export interface Finding {
  channel: Channel | undefined;
  method: "meaning" | "words" | undefined;
  /** From 0, of the moment's best segment in this list. */
  rank: number;
  /** What is said or written there that fits best. */
  line: TextLine | undefined;
}

/** A sentence, or a text on the screen: `[start, end)` seconds. */
export interface TextLine {
  start: number;
  end: number;
  /** Joined they are all of it; matched: a word of the query. */
  pieces: { text: string; matched: boolean }[];
  /** Where it stands on the screen, as shares, 0..1; undefined of what is said. */
  box: { left: number; top: number; right: number; bottom: number } | undefined;
}

/** A span of another video that shows the same as a moment, in seconds. */
export interface Duplicate {
  video: string;
  start: number;
  end: number;
}

/** What part of the corpus an answer speaks for. */
export interface Coverage {
  shardsTotal: number;
  shardsAnswered: number;
  videosTotal: number;
  videosSearched: number;
  /** 0..1 of the videos. */
  ratio: number;
  /** "SHARD_TIMEOUT", "SHARD_UNAVAILABLE", "RANKER_SKIPPED". */
  degraded: string[];
  /** Names of the shards that did not answer. */
  unreachable: string[];
}

/** How many videos of an answer, and moments of theirs, have a label. */
export interface Facet {
  label: string;
  videos: number;
  moments: number;
}

/** One page of an answer. */
export interface SearchResult {
  moments: Moment[];
  /** Moments over all pages. */
  total: number;
  /** Pass it as `pageToken`; empty on the last page. */
  nextPage: string;
  requestId: string;
  coverage: Coverage;
  collection: string;
  version: string;
  embeddingModel: string;
  /** Which ranker spoke; empty when nothing was refined. */
  ranker: string;
  /** Seconds by stage. */
  timings: Record<string, number>;
  /** True for the final list, false for the coarse one. */
  refined: boolean;
  /** True if no moment, over all pages, is as sure as `confidenceThreshold`. */
  noConfidentMatch: boolean;
  confidenceThreshold: number | undefined;
  /** The text was longer than the encoder reads; its end was left out. */
  queryTruncated: boolean;
  facets: Facet[];
  /** Videos that the filter lets through; undefined without one. */
  videosAllowed: number | undefined;
}

/** A video of a collection. */
export interface Video {
  id: string;
  uri: string;
  /** Seconds. */
  duration: number;
  labels: string[];
  date: Date | undefined;
  added: Date | undefined;
}

/** What may be found; all that is given has to hold. */
export interface Filter {
  videos?: string[];
  /** With one of these labels at least; with all of `allLabels`; with none of `noLabels`. */
  labels?: string[];
  allLabels?: string[];
  noLabels?: string[];
  /** Of the file: "news", "news/2024", or its whole path. */
  folder?: string;
  /** The video's date: from `after` on, and before `before`. */
  after?: Date;
  before?: Date;
  /** The video's duration, both included, seconds. */
  longer?: number;
  shorter?: number;
  /** The part of every video that is searched, in seconds; or as shares, 0..1, of its duration. */
  start?: number;
  end?: number;
  part?: [number, number];
}

/** How to answer; what is not given is the server's choice. */
export interface SearchOptions {
  /** Moments a page, at most 100; default 10. */
  pageSize?: number;
  pageToken?: string;
  /** Sent to the server's log; made there when not given. */
  requestId?: string;
  /** Seconds for all attempts together; default 10, Infinity for the server's own limit. */
  timeout?: number;
  /** Ends the call when it is aborted. */
  signal?: AbortSignal;
  filter?: Filter;
  segmentTopK?: number;
  proposalTopK?: number;
  nprobe?: number;
  /** False: the coarse list. */
  rerank?: boolean;
  /** Drop moments that overlap a better one by more than this IoU. */
  nmsIou?: number;
  /** Fail below this share of the videos. */
  minCoverage?: number;
  /** Keep the best so many moments of a video. */
  perVideo?: number;
  /** A video's moments together. */
  grouped?: boolean;
  /** Count the labels of the videos found. */
  facets?: boolean;
  /** Moments of different videos that show the same pictures are one; the others are in its alsoIn. */
  mergeDuplicates?: boolean;
  /** Where a text is sought; not given or empty: in all channels that there are. */
  channels?: Channel[];
}

/** A query vector in the index's space, and the fingerprint of the model that made it. */
export interface Embedding {
  /** An array, or a typed one such as Float32Array. */
  vector: ArrayLike<number>;
  model: string;
}

/** Options of `videos`: which, and seconds a page may take. */
export type VideosOptions = Pick<SearchOptions, "filter" | "timeout" | "signal" | "pageSize">;
