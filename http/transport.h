// SPDX-License-Identifier: Apache-2.0
#pragma once

// One stream socket with or without TLS: owns descriptor, SSL and bufferevent, and frees them in
// the order in which libevent can bear it. Callbacks run from the loop, never from within a call
// here; each may destroy the Transport.

#include <event2/util.h>

#include <functional>
#include <string>
#include <utility>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "http/tls_context.h"

struct bufferevent;
struct evbuffer;

namespace cvlan::http {

class Transport {
public:
    class Events {
    public:
        virtual void on_connected() = 0;  // TLS is up; at once without TLS: not called
        virtual void on_readable() = 0;
        virtual void on_written() = 0;  // at most low_water bytes are left to write
        virtual void on_closed(bool clean, Error why) = 0;

    protected:
        ~Events() = default;
    };
    enum class Side { Accepting, Connecting };

    // `ssl` null: plain. Nothing is read before on_connected() and read_more(true).
    Transport(EventLoop& loop, UniqueFd fd, SslPtr ssl, Side side);
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    ~Transport();

    bool is_open() const { return bev_ != nullptr; }
    void listen_to(Events* events) { events_ = events; }
    evbuffer* input() const;
    evbuffer* output() const;
    SSL* ssl() const { return ssl_.get(); }
    int fd() const { return fd_.get(); }

    void read_more(bool wanted);
    void low_water(size_t bytes);
    void write_on();  // after the other side has ended its stream

    // Says the last word (close_notify, FIN) and gives the socket away for the rest to be
    // discarded.
    UniqueFd half_close();

    // Gives socket and TLS state away as they are; the SSL may hold bytes that nobody has read.
    std::pair<UniqueFd, SslPtr> give_away();

private:
    static void read_cb(bufferevent*, void* self);
    static void write_cb(bufferevent*, void* self);
    static void event_cb(bufferevent*, short what, void* self);
    void release();

    Events* events_ = nullptr;
    UniqueFd fd_;
    SslPtr ssl_;
    bufferevent* bev_ = nullptr;
};

// TCP_NODELAY, and no more than 128 KiB unsent in the kernel, so that what waits for a slow reader
// waits in shared fragments (tcp(7), TCP_NOTSENT_LOWAT). What is lost of a few packets is sent
// again without growing pauses for a second (Documentation/networking/tcp-thin.rst): a NAT that has
// forgotten a connection loses what comes to it until its own side speaks, and those of a relay
// speak at about the same time.
void tune_tcp(int fd);

}  // namespace cvlan::http
