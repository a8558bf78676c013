import { describe, expect, it } from "vitest";
import {
  EMPEROR_MESSAGES,
  VASSAL_MESSAGES,
  decodeEmperorMessage,
  decodeVassalMessage,
  encodeEmperorMessage,
  encodeVassalMessage,
} from "./emperor-messages.ts";

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);

describe("the emperor channel", () => {
  it("has uWSGI's bytes, other vassals and Emperors depend on them", () => {
    expect(EMPEROR_MESSAGES).toEqual({ stop: 0, reload: 1, "graceful-stop": 2 });
    expect(VASSAL_MESSAGES).toEqual({
      spawned: 1,
      "config-wanted": 2,
      accepting: 5,
      loyal: 17,
      done: 22,
      heartbeat: 26,
      reinforcements: 30,
    });
  });

  it("reads what it writes, and nothing else has a name", () => {
    const toVassal = BYTES.filter((byte) => decodeEmperorMessage(byte) !== undefined);
    const toEmperor = BYTES.filter((byte) => decodeVassalMessage(byte) !== undefined);
    expect(toVassal).toEqual([0, 1, 2]);
    expect(toEmperor).toEqual([1, 2, 5, 17, 22, 26, 30]);
    for (const byte of toVassal)
      expect(encodeEmperorMessage(decodeEmperorMessage(byte)!)).toBe(byte);
    for (const byte of toEmperor)
      expect(encodeVassalMessage(decodeVassalMessage(byte)!)).toBe(byte);
  });

  it.each([-1, 256, 1.5, Number.NaN])("has no name for %s", (byte) => {
    expect(decodeEmperorMessage(byte)).toBeUndefined();
    expect(decodeVassalMessage(byte)).toBeUndefined();
  });
});
