import { PrismaPg } from "@prisma/adapter-pg";
import { defineConfig } from "prisma/config";

// The engine in JavaScript leaves ?schema= to the adapter, and the adapter to the search path.
const connectionString = process.env.DATABASE_URL!;
const schema = new URL(connectionString).searchParams.get("schema");

export default defineConfig({
  schema: "prisma/schema.prisma",
  experimental: { adapter: true },
  engine: "js",
  adapter: async () => schema
    ? new PrismaPg({ connectionString, options: `-c search_path=${schema}` }, { schema })
    : new PrismaPg({ connectionString }),
});
