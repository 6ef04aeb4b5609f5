/**
 * Retries of refused calls: after the delay that the server names (RetryInfo), within the timeout and a budget.
 *
 * Jitter keeps those that were refused at once from coming back at once; the budget keeps retries from being
 * most of the load.
 */

import { setTimeout as sleep } from "node:timers/promises";

import { InvalidInput, Overloaded, SearchError, Unavailable } from "./errors.js";

export const RETRIES = 3;
/** Retries in a row that a client may make, and how many a call adds. */
const BURST = 10;
const SHARE = 0.1;

/** How often one client asks again. */
export class Retries {
  #left = BURST;

  /** retries: of one call; 0: never. */
  constructor(private readonly retries: number = RETRIES) {
    if (!Number.isInteger(retries) || retries < 0 || retries > 100) {
      throw new InvalidInput(`retries is ${retries}; give a whole number from 0 (never) to 100`, "BAD_PARAMETER");
    }
  }

  /**
   * Return what `call(deadline)` answers, asked again where a server refuses it for now.
   *
   * timeout: seconds for all attempts together. again: false once an answer has begun.
   */
  async run<T>(
    timeout: number,
    call: (deadline: Date | number) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const attempts = this.begin(timeout);
    for (;;) {
      try {
        return await call(attempts.deadline);
      } catch (error) {
        await attempts.wait(error, signal);
      }
    }
  }

  /** Begin a call of at most `timeout` seconds. */
  begin(timeout: number): { deadline: Date | number; wait(error: unknown, signal?: AbortSignal): Promise<void> } {
    this.#left = Math.min(BURST, this.#left + SHARE);
    const ends = Date.now() + timeout * 1000;
    let retries = this.retries;
    const wait = async (error: unknown, signal?: AbortSignal): Promise<void> => {
      const told = asked(error);
      const delay = (told ?? 0) * (1 + Math.random()) * 1000;
      if (told === undefined || retries < 1 || Date.now() + delay >= ends || this.#left < 1) throw error;
      retries -= 1;
      this.#left -= 1;
      await sleep(delay, undefined, { signal });
    };
    return { deadline: Number.isFinite(ends) ? new Date(ends) : Infinity, wait };
  }
}

/** Return the seconds after which a server wants to be asked again; undefined where it does not. */
function asked(error: unknown): number | undefined {
  const forNow = error instanceof Overloaded || error instanceof Unavailable;
  return forNow && (error as SearchError).refused ? (error as SearchError).retryAfter : undefined;
}
