// A Fastify server as its documentation shows it: it listens itself, and gets the socket of its vassal.
import Fastify from "fastify";

const fastify = Fastify();
fastify.get("/", async () => ({ hello: "from Fastify", process: process.pid }));
await fastify.listen({ port: 3000 });
