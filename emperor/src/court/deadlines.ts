/**
 * The deadlines of all vassals in one binary heap: one per vassal, moved or dropped in O(log n).
 * Knows nothing of what a deadline means and sets no timer itself.
 */

/** What the heap needs of its members; it writes both fields and nobody else does. */
export interface Timed {
  deadlineAt: number;
  /** Position in the heap, -1 when it has no deadline. */
  heapIndex: number;
}

export class Deadlines<T extends Timed> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline, or undefined when there is none. */
  get next(): number | undefined {
    return this.#heap[0]?.deadlineAt;
  }

  /** Sets, moves or (with undefined) drops the deadline of a member. */
  set(member: T, at: number | undefined): void {
    if (at === undefined) {
      if (member.heapIndex >= 0) this.#remove(member);
      return;
    }
    if (member.heapIndex < 0) {
      member.heapIndex = this.#heap.length;
      member.deadlineAt = at;
      this.#heap.push(member);
      this.#up(member.heapIndex);
      return;
    }
    const before = member.deadlineAt;
    if (before === at) return;
    member.deadlineAt = at;
    if (at < before) this.#up(member.heapIndex);
    else this.#down(member.heapIndex);
  }

  /** Takes out every member that is due, earliest first. Each has to set a new deadline if it wants one. */
  takeDue(now: number): T[] {
    const due: T[] = [];
    for (
      let first = this.#heap[0];
      first !== undefined && first.deadlineAt <= now;
      first = this.#heap[0]
    ) {
      this.#remove(first);
      due.push(first);
    }
    return due;
  }

  #remove(member: T): void {
    const index = member.heapIndex;
    const last = this.#heap.pop();
    member.heapIndex = -1;
    if (last === undefined || last === member) return;
    this.#heap[index] = last;
    last.heapIndex = index;
    this.#up(index);
    this.#down(last.heapIndex);
  }

  #at(index: number): T {
    const member = this.#heap[index];
    if (member === undefined) throw new RangeError(`deadline heap has no entry ${index}`);
    return member;
  }

  #swap(i: number, j: number): void {
    const a = this.#at(i);
    const b = this.#at(j);
    this.#heap[i] = b;
    this.#heap[j] = a;
    b.heapIndex = i;
    a.heapIndex = j;
  }

  #up(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent).deadlineAt <= this.#at(index).deadlineAt) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(start: number): void {
    const length = this.#heap.length;
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= length) return;
      const right = left + 1;
      const child =
        right < length && this.#at(right).deadlineAt < this.#at(left).deadlineAt ? right : left;
      if (this.#at(index).deadlineAt <= this.#at(child).deadlineAt) return;
      this.#swap(index, child);
      index = child;
    }
  }
}
