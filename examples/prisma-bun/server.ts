import { db } from "./db";

const server = Bun.serve({
  port: 3000,
  routes: {
    "/": {
      GET: async () => Response.json(await db.task.findMany({ orderBy: { id: "asc" } })),
      POST: async (request) => {
        const { title } = await request.json();
        return Response.json(await db.task.create({ data: { title } }), { status: 201 });
      },
    },
  },
});

// The app is PID 1 of its container, where SIGTERM does nothing unless there is a handler.
process.on("SIGTERM", async () => {
  await server.stop();
  await db.$disconnect();
});

console.log(`tasks at ${server.url}`);
