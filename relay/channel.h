// SPDX-License-Identifier: Apache-2.0
#pragma once

// Frames over one connection, either side of it: read as they come, and written once a turn of the
// loop, so that what came to be sent in the meantime leaves together. Who it is for derives from
// it. Loop thread only.

#include <event2/event.h>
#include <event2/event_struct.h>

#include <memory>
#include <string_view>

#include "base/event_loop.h"
#include "relay/frame.h"
#include "relay/queue.h"
#include "relay/stream.h"
#include "relay/websocket.h"

namespace cvlan::relay {

// What all channels of a loop use.
struct Shared {
    Wire wire;
    BlockPool pool;
    size_t queue_bytes;  // that wait in one channel
};

class Channel {
public:
    enum class Framing : uint8_t { Plain, WebSocketServer, WebSocketClient };

    Channel(EventLoop& loop, Shared& shared, Framing framing, http::Upgraded upgraded);
    virtual ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // SEND or RECV, behind those that wait; the oldest give way. False: there was no room at all.
    bool add_packet(FrameType type, const Key& key, ByteView payload);
    // Where frames go that must not be dropped.
    Bytes& control() { return control_; }
    // False: the connection has failed.
    [[nodiscard]] bool flush();
    // An ERROR and the end of the stream, as far as they go without waiting.
    void last_words(Fault code, std::string_view text);
    uint64_t dropped() const { return waiting_.dropped(); }
    void keep_buffers(bool on) { stream_.keep_buffers(on); }

protected:
    // Before the frames of a turn.
    virtual void on_turn() {}
    // False: this was the last.
    virtual bool on_frame(const Frame& frame) = 0;
    // The connection has ended, or on_frame() ended it. May destroy the channel.
    virtual void on_over(const char* why) = 0;

private:
    static void readable(evutil_socket_t, short, void* self);
    static void writable(evutil_socket_t, short, void* self);
    void report_over();
    bool take(std::span<uint8_t> piece);
    bool take_websocket(std::span<uint8_t> piece);
    bool take_frames(ByteView bytes);
    bool malformed(const char* what);
    void send_message(std::span<uint8_t> frames);
    void send_control(Opcode opcode, ByteView payload);
    void send_waiting();
    Bytes mask() const;

    Shared& shared_;
    Stream stream_;
    FrameReader frames_;
    std::unique_ptr<WebSocketReader> websocket_;  // null: the plain upgrade
    FrameQueue waiting_;
    Bytes control_;
    event read_{};
    std::unique_ptr<event> write_;  // while the kernel takes no more
    Framing framing_;
    const char* why_ = nullptr;
};

}  // namespace cvlan::relay
