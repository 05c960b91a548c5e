import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { StreamWrites } from './stream-writes.js';

/** A stream that takes as much as it is given room for. */
class SlowStream {
  room = 0;
  taken = Buffer.alloc(0);
  fin = false;
  stopped = false;

  streamSend(_id: number, bytes: Uint8Array, fin: boolean): number | null {
    if (this.stopped) throw new Error('StreamStopped');
    const size = Math.min(this.room, bytes.length);
    if (size === 0 && bytes.length > 0) return null;
    this.room -= size;
    this.taken = Buffer.concat([this.taken, bytes.subarray(0, size)]);
    if (fin && size === bytes.length) this.fin = true;
    return size;
  }
}

const setup = () => {
  const stream = new SlowStream();
  const events: string[] = [];
  const writes = new StreamWrites(stream, {
    drained: (id) => events.push(`drained ${id}`),
    stopped: (id) => events.push(`stopped ${id}`),
  });
  return { stream, events, writes };
};

describe('StreamWrites', () => {
  it('gives everything to quiche once and in order, however little it takes at a time', () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(chunks, fc.array(fc.nat(40), { minLength: 1 }), (parts, rooms) => {
        const { stream, writes } = setup();
        parts.forEach((part, index) => {
          stream.room = rooms[index % rooms.length]!;
          writes.write(4, Buffer.from(part), index === parts.length - 1);
        });
        for (let turn = 0; turn < 600 && !stream.fin; turn += 1) {
          stream.room = 1 + (rooms[turn % rooms.length]! % 7);
          writes.retry();
        }
        expect(stream.taken).toEqual(Buffer.concat(parts));
        expect(stream.fin).toBe(true);
        expect(writes.queuedBytes(4)).toBe(0);
      }),
    );
  });

  it('tells when all that waited is gone', () => {
    const { stream, events, writes } = setup();
    stream.room = 3;
    expect(writes.write(4, Buffer.from('abcdef'), false)).toBe(false);
    expect(writes.queuedBytes(4)).toBe(3);
    writes.retry();
    expect(events).toEqual([]);
    stream.room = 10;
    writes.retry();
    expect(events).toEqual(['drained 4']);
  });

  it('forgets a stream that the peer has stopped', () => {
    const { stream, events, writes } = setup();
    writes.write(4, Buffer.from('abc'), true);
    stream.stopped = true;
    writes.retry();
    expect(events).toEqual(['stopped 4']);
    expect(writes.queuedBytes(4)).toBe(0);
    expect(writes.write(8, Buffer.from('x'), true)).toBe(false);
    expect(events).toEqual(['stopped 4', 'stopped 8']);
  });
});
