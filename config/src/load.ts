/** The loader: environment, command line and files become one ordered list of pairs. */
import type { ConfigResult, LoadRequest } from "./load-types.ts";

/**
 * Reads everything. Never rejects for what a user can write: errors are in the result. The order is
 * uWSGI's: environment, command line from left to right with each file at the place of its option,
 * files named by a bare argument after all options, inherited files at the end.
 */
export declare function loadConfiguration(request: LoadRequest): Promise<ConfigResult>;
