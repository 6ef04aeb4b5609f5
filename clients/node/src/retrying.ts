/**
 * Retries of refused calls: after the delay that the server names (RetryInfo), within the timeout and a budget.
 *
 * Jitter keeps those that were refused at once from coming back at once; the budget keeps retries from being
 * most of the load.
 *
 * Where nobody answers, a coordinator that answered before is being started again: it is asked again too, and
 * outside the budget, for who is not there has no load. A client that was never answered, or whose last call
 * waited in vain, is told at once.
 */

import { setTimeout as sleep } from "node:timers/promises";

import { InvalidInput, Overloaded, SearchError, Unavailable } from "./errors.js";

export const RETRIES = 3;
/** Seconds, or up to twice that, until one that is started again is asked again. */
const AWAY = 0.5;
/** Retries in a row that a client may make, and how many a call adds. */
const BURST = 10;
const SHARE = 0.1;

/** How often one client asks again. */
export class Retries {
  #left = BURST;
  /** Whether the last call was answered, if only by a refusal. */
  #answered = false;

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
        const answer = await call(attempts.deadline);
        attempts.answered();
        return answer;
      } catch (error) {
        await attempts.wait(error, signal);
      }
    }
  }

  /** Begin a call of at most `timeout` seconds. */
  begin(timeout: number): Attempts {
    this.#left = Math.min(BURST, this.#left + SHARE);
    const ends = Date.now() + timeout * 1000;
    let [retries, waited] = [this.retries, false];
    const wait = async (error: unknown, signal?: AbortSignal): Promise<void> => {
      if (error instanceof SearchError && error.refused) this.#answered = true;
      const gone = error instanceof Unavailable && !error.refused;
      const told = gone ? (this.#answered ? AWAY : undefined) : asked(error);
      const delay = (told ?? 0) * (1 + Math.random()) * 1000;
      if (told === undefined || retries < 1 || Date.now() + delay >= ends || (!gone && this.#left < 1)) {
        if (gone && waited) this.#answered = false;
        throw error;
      }
      retries -= 1;
      waited = true;
      if (!gone) this.#left -= 1;
      await sleep(delay, undefined, { signal });
    };
    const answered = (): void => void (this.#answered = true);
    return { deadline: Number.isFinite(ends) ? new Date(ends) : Infinity, wait, answered };
  }
}

/** The attempts of one call: `wait` before the next one, which throws the error where there is none. */
export interface Attempts {
  deadline: Date | number;
  wait(error: unknown, signal?: AbortSignal): Promise<void>;
  /** Note that an answer has come. */
  answered(): void;
}

/** Return the seconds after which a server wants to be asked again; undefined where it does not. */
function asked(error: unknown): number | undefined {
  const forNow = error instanceof Overloaded || error instanceof Unavailable;
  return forNow && (error as SearchError).refused ? (error as SearchError).retryAfter : undefined;
}
