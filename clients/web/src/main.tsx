import { render } from "preact";
import { Annotate } from "./annotate";
import { App } from "./app";

render(location.pathname.endsWith("/annotate") ? <Annotate /> : <App />, document.getElementById("page")!);
