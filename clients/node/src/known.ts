/** What options and filters may hold: plain JavaScript would leave out a misspelt one without a word. */

import { InvalidInput } from "./errors.js";
import type { Filter, SearchOptions } from "./types.js";

/** By name; true: a list. */
type Names<Of> = Record<keyof Of, boolean>;

const OPTIONS: Names<SearchOptions> = {
  pageSize: false,
  pageToken: false,
  requestId: false,
  timeout: false,
  signal: false,
  filter: false,
  segmentTopK: false,
  proposalTopK: false,
  nprobe: false,
  rerank: false,
  nmsIou: false,
  minCoverage: false,
  perVideo: false,
  grouped: false,
  facets: false,
  mergeDuplicates: false,
  channels: true,
};
const FILTER: Names<Filter> = {
  videos: true,
  labels: true,
  allLabels: true,
  noLabels: true,
  folder: false,
  after: false,
  before: false,
  longer: false,
  shorter: false,
  start: false,
  end: false,
  part: true,
};

/** Refuse (InvalidInput) options, and a filter in them, that hold what there is not. */
export function check(options: SearchOptions): void {
  checkNames("options", options, OPTIONS);
  if (options.filter) checkNames("filter", options.filter, FILTER);
}

function checkNames(what: string, given: object, names: Record<string, boolean>): void {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(names, name)) {
      throw bad(`${what} has ${JSON.stringify(name)}; it may have ${Object.keys(names).join(", ")}`);
    }
    if (names[name] && value !== undefined && !Array.isArray(value)) {
      throw bad(`${name} is ${JSON.stringify(value)}; give a list`);
    }
  }
}

/** Return a value as it is; InvalidInput for another type: plain JavaScript would send what it is made into. */
export function typed<T>(name: string, type: "boolean" | "number", given: T | undefined): T | undefined {
  if (given !== undefined && typeof given !== type) throw bad(`${name} is ${JSON.stringify(given)}; give a ${type}`);
  return given;
}

/** Return a whole number as it is, undefined where none is given. */
export function optional(name: string, given: number | undefined): number | undefined {
  return given === undefined ? undefined : whole(name, given);
}

/** Return a whole number as it is; InvalidInput for what is none. */
export function whole(name: string, given: number): number {
  if (!Number.isInteger(given) || given < 0 || given >= 2 ** 31) {
    throw bad(`${name} is ${given}; it must be a whole number, 0 or more`);
  }
  return given;
}

/** Return the error of an argument. */
export function bad(message: string): InvalidInput {
  return new InvalidInput(message, "BAD_PARAMETER");
}
