import type { JSX } from "preact";

/** A picture of a video. Where there is none, its file is away, its place stays dark. */
export function Picture(props: JSX.IntrinsicElements["img"]) {
  const show = (how: string) => (event: Event) => ((event.currentTarget as HTMLElement).style.visibility = how);
  return <img {...props} onLoad={show("visible")} onError={show("hidden")} />;
}
