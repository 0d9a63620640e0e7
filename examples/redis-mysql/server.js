import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import knex from "knex";
import config from "./knexfile.js";

const db = knex(config);

const server = createServer(async (request, response) => {
  const answer = (status, body) =>
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  try {
    if (request.url !== "/") return answer(404, { error: "not found" });
    if (request.method === "GET") return answer(200, await db("orders").orderBy("id"));
    const { item } = await json(request);
    const [id] = await db("orders").insert({ item });
    answer(201, { id, item });
  } catch (error) {
    answer(500, { error: error.message });
  }
});
server.listen(3000, () => console.log("orders at port 3000"));

// The app is PID 1 of its container, where SIGTERM does nothing unless there is a handler.
process.on("SIGTERM", () => server.close(() => db.destroy()));
