import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** An input whose text is set when `value` changes, and not by whatever else is drawn: an answer that comes while a person types leaves what was typed. */
export function Written({ value, ...more }: JSX.InputHTMLAttributes<HTMLInputElement> & { value: string }) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => void (input.current!.value = value), [value]);
  useLayoutEffect(() => {
    if (more.autofocus) input.current!.focus();
  }, []);
  return <input ref={input} {...more} />;
}
