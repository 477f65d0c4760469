// SPDX-License-Identifier: Apache-2.0
#pragma once

// An HTTP/1.1 server on one EventLoop: TLS, a unix socket, or plain on loopback. One request of a
// connection is with the handler at a time; what a client sends ahead waits, bounded. A reply may
// be held (blocking queries) and costs nothing but its connection. Errors that http itself finds
// are answered as problem+json and close the connection. All calls are made on the loop's thread; a
// Server may be destroyed at any time but from within its own handler, which closes everything.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "http/message.h"
#include "http/tls.h"
#include "http/upgrade.h"

namespace cvlan::http {

struct Limits {
    size_t head_bytes = 16 * 1024;                // request line and headers: 431
    size_t header_count = 100;                    // 431
    size_t target_bytes = 8 * 1024;               // 414
    size_t body_bytes = 1024 * 1024;              // 413, before the rest is read
    std::chrono::milliseconds handshake{10'000};  // closed
    std::chrono::milliseconds head{10'000};       // from its first byte, or the handshake: 408
    std::chrono::milliseconds body{30'000};       // from the end of the head: 408
    std::chrono::milliseconds write{30'000};  // a client that takes nothing for so long is cut off
    std::chrono::milliseconds idle{75'000};   // between requests: closed without a word
    std::chrono::milliseconds held{90'000};   // a handler that has not answered by then: 503
    size_t connections = 20'000;              // accepting pauses at so many
    size_t connections_per_address = 2'000;   // IPv6: per /64; further ones are closed at once
    // TLS handshakes that began in this second; more connections wait until some are over.
    size_t young_handshakes = 256;
    // Names (without port) a Host header may hold, any case of letters; others get 421. Empty: any.
    std::vector<std::string> allowed_hosts{};
};

struct Exchange;

// The answer that is owed to one request. Destroyed unsent, it answers 500.
class Reply {
public:
    explicit Reply(std::shared_ptr<Exchange> exchange);
    Reply(Reply&&) noexcept;
    Reply& operator=(Reply&&) noexcept;
    ~Reply();

    void send(Response response);  // once; ignored when client_gone()
    // Instead of it: the head of a 101 answer, after which the connection is `leave`'s, which runs
    // on the loop once the head is on its way, and not where the connection ends before that. It
    // counts no longer among those of the server, nor does its end. Not for a reply that was handed
    // over.
    void upgrade(Response head, Leave leave);
    // Nobody waits any longer: the client left, or the reply was held for too long.
    bool client_gone() const;
    // Each runs at most once and not after send(): when client_gone() comes true; when the server
    // drains, for a held reply to be answered with what there is. Either may destroy or send this
    // Reply.
    void on_client_gone(std::function<void()> run);
    void on_drain(std::function<void()> run);
    // Runs when an answer is given while somebody waits for it.
    void on_answer(std::function<void(int status)> run);
    std::string_view request_id() const;

private:
    void drop();
    std::shared_ptr<Exchange> exchange_;
};

using Handler = std::function<void(Request, Reply)>;

// Has `run` called on the thread of the loop `there`, with a Reply of its own: what that one is
// sent goes out on `home`, the loop of the connection. Over there nobody hears of a client that is
// gone, nor of a drain.
void hand_over(Reply reply, EventLoop& home, EventLoop& there, std::function<void(Reply)> run);

struct Service {
    Handler handler;
    Limits limits{};
    // Load balancers: a connection from one of these begins with a PROXY header (version 1 or 2),
    // whose client is its peer from there on; one without is closed. From elsewhere such a header
    // is as malformed as any other bytes. TCP alone.
    std::vector<Prefix> proxies{};
};

struct UnixSocket {
    std::string path;
    mode_t mode = 0660;
    std::optional<gid_t> group{};
};

class Server {
public:
    // Port 0 takes a free one, see endpoint(). [::] takes IPv4 too.
    static Result<std::unique_ptr<Server>> listen_tls(EventLoop& loop, const Endpoint& at,
                                                      const TlsServerOptions& tls, Service service);
    static Result<std::unique_ptr<Server>> listen_tls(EventLoop& loop, const Endpoint& at,
                                                      const TlsServerNames& tls, Service service);
    // An old socket file is replaced when nobody answers on it; anything else there is
    // Code::Exists.
    static Result<std::unique_ptr<Server>> listen_unix(EventLoop& loop, const UnixSocket& at,
                                                       Service service);
    // Loopback addresses alone; any other is Code::Denied.
    static Result<std::unique_ptr<Server>> listen_plain(EventLoop& loop, const Endpoint& at,
                                                        Service service);
    ~Server();

    Endpoint endpoint() const;  // where it listens, with the real port
    uint16_t port() const { return endpoint().port; }
    // For new connections; those that are open keep the certificate they were greeted with.
    Result<void> update_tls(const TlsServerOptions& tls);
    Result<void> update_tls(const TlsServerNames& tls);

    // Stops accepting, closes idle connections, finishes answers, calls on_drain of held replies;
    // `done` runs on the loop when the last connection is closed, `limit` later at the latest.
    void drain(std::chrono::milliseconds limit, std::function<void()> done);

    struct Stats {
        size_t connections = 0;  // open now
        size_t held = 0;         // requests which wait for their answer now
        uint64_t accepted = 0;
        uint64_t refused = 0;        // over a limit of connections, or of memory
        uint64_t accept_pauses = 0;  // times that no connection was taken for a while
        uint64_t proxy_headers_refused = 0;
        size_t handshaking = 0;        // TLS handshakes under way now
        uint64_t admission_waits = 0;  // times that new connections waited for those under way
        uint64_t abandoned = 0;        // connections whose client had left before they were taken
        uint64_t handshakes = 0;       // that TLS completed
        uint64_t handshakes_failed = 0;
        uint64_t requests = 0;  // given to the handler
        uint64_t errors = 0;    // answered by http itself
    };
    Stats stats() const;  // from any thread

    struct State;
    explicit Server(std::unique_ptr<State> state);

private:
    static Result<std::unique_ptr<Server>> listen_with(EventLoop& loop, const Endpoint& at,
                                                       Result<SslCtxPtr> context, Service service);
    Result<void> use_tls(Result<SslCtxPtr> context);
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::http
