// What the benchmark's clients ask of socket.io: rooms that they join and publish to.
import type { Server } from 'socket.io';

export function attachRooms(io: Server, acknowledge: boolean): void {
  io.on('connection', (socket) => {
    socket.on('join', async (room: string, done: () => void) => {
      // Some adapters answer when it is so.
      await socket.join(room);
      done();
    });
    socket.on('pub', (room: string, data: unknown) => {
      io.to(room).emit('m', room, data);
      if (acknowledge) socket.emit('p');
    });
  });
}
