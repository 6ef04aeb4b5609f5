// node examples/search.mjs "a red ball bounces" [HOST:PORT]: the coarse moments at once, then the refined ones.
import { Client, SearchError } from "spr-client";

const [text = "a red ball bounces", address = "127.0.0.1:7400"] = process.argv.slice(2);
const client = new Client(address);
try {
  for await (const result of client.searchProgressive(text, { pageSize: 5, timeout: 10 })) {
    console.log(result.refined ? "refined:" : "coarse:");
    for (const { rank, video, start, end, confidence } of result.moments) {
      const sure = confidence === undefined ? "" : ` ${Math.round(confidence * 100)}%`;
      console.log(`  ${rank}. ${video} ${start.toFixed(1)}-${end.toFixed(1)} s${sure}`);
    }
  }
} catch (error) {
  if (!(error instanceof SearchError)) throw error;
  console.error(error.message);
  process.exitCode = 4;
} finally {
  client.close();
}
