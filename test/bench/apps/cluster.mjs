// `server.mjs` under node:cluster, as its documentation shows it.
import cluster from "node:cluster";

if (cluster.isPrimary) for (let n = 0; n < 2; n++) cluster.fork();
else await import("./server.mjs");
