// What a person writes with the types that openapi-typescript made: URL, key, folder of the source.
import { writeFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Refresh = components["schemas"]["RefreshResult"];

function must(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const [url, key, folder] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const path = { project_id: "@current" };

const table: components["schemas"]["NewTable"] = {
  name: "orders",
  format: "CSVWithNames",
  url_pattern: `file://${folder}/*.csv`,
  options: { csv_delimiter: ";" },
};
const prefer = { path, header: { Prefer: "wait=60" } };
const tables = "/api/projects/{project_id}/warehouse_tables/";
const made = await client.POST(tables, { params: prefer, body: table });
must(made.data !== undefined, made.error);
must(made.data.columns.map((each) => each.type).join() === "integer,boolean", made.data);
const again = await client.POST(tables, { params: { path }, body: table });
must(again.error?.type === "validation_error" && again.error.attr === "name", again);

writeFileSync(`${folder}/2.csv`, "id;paid;note\n3;true;hi\n");
const table_id = made.data.id;
const asked = await client.POST(
  "/api/projects/{project_id}/warehouse_tables/{table_id}/refresh_schema/",
  { params: { path: { ...path, table_id } } },
);
must(asked.data !== undefined, asked.error);
const job = await client.GET("/api/projects/{project_id}/jobs/{job_id}/", {
  params: { path: { ...path, job_id: asked.data.id }, query: { wait: 60 } },
});
must(job.data?.state === "succeeded" && job.data.kind === "refresh_schema", job);
const result = job.data.result as Refresh;
must(result.diff.added[0]?.name === "note" && result.change === "additive", result);

// @ts-expect-error a selector is closed
const unknown: components["schemas"]["SelectorIn"] = { everything: true };
const batch = await client.POST("/api/projects/{project_id}/warehouse_tables/refresh/", {
  params: { path },
  body: unknown,
});
must(batch.response.status === 400, batch);
const listed = await client.GET(tables, { params: { path, query: { search: "ord" } } });
must(listed.data?.results[0]?.options.csv_delimiter === ";", listed);
console.log("done");
