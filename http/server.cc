// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "http/server_state.h"

namespace cvlan::http {
namespace {

using namespace std::chrono_literals;

// Then the open connections have their turn: a handshake costs a millisecond of theirs.
constexpr int kAcceptedAtOnce = 16;
constexpr auto kRetryAccept = 100ms;
constexpr auto kWarnEvery = 1min;  // of faults that come with each connection

// Whom a limit of connections counts as one. A site has a /64 of its own to pick addresses from.
Address counted_address(const Address& address) {
    if (address.is_v4()) return address;
    const auto prefix = Prefix::of(address, 64);
    return prefix ? prefix->address() : address;
}

// A client that waited in the kernel's queue for longer than it would: its hello still lies there,
// and an answer would cost a signature that nobody reads. When all nodes come back at once and the
// queue is longer than their patience, no other would ever be served.
bool has_left(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
    return info.tcpi_state == TCP_CLOSE_WAIT || info.tcpi_state == TCP_CLOSE;
}

}  // namespace

Server::State::~State() {
    // Replies that are still held find their client gone; none is called back.
    is_draining = true;
    acceptable.cancel();
    gates.clear();
    connections.clear();
}

void Server::State::start_accepting() {
    acceptable = loop.on_readable(listener.fd(), [this] { accept_some(); });
}

void Server::State::pause_accepting(std::string_view why) {
    acceptable.cancel();
    if (std::exchange(is_paused, true)) return;
    counts.accept_pauses.add();
    log::warn("http.accept_paused", {{"why", why}, {"connections", connections.size()}});
}

void Server::State::accept_some() {
    for (int i = 0; i < kAcceptedAtOnce; ++i) {
        if (tls && admission.is_full(std::chrono::steady_clock::now()))
            return wait_for_handshakes();
        if (open_count() >= limits().connections) {
            is_full = true;
            return pause_accepting("connection limit");
        }
        UniqueFd fd(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd) {
            is_unix ? admit_local(std::move(fd)) : admit_tcp(std::move(fd));
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // The kernel keeps the rest in its queue; asking at once again would spin.
            pause_accepting("out of descriptors or memory");
            retry = loop.after(kRetryAccept, [this] { start_accepting(); });
            return;
        }
        if (errno == EAGAIN) break;
    }
    if (std::exchange(is_paused, false))
        log::info("http.accept_resumed", {{"connections", connections.size()}});
}

// New ones stay in the kernel's queue until there is room, or those under way are slow ones.
void Server::State::wait_for_handshakes() {
    acceptable.cancel();
    counts.admission_waits.add();
    awaits_handshakes = true;
    retry = loop.after(Admission::until_next(std::chrono::steady_clock::now()), [this] {
        awaits_handshakes = false;
        start_accepting();
    });
}

int64_t Server::State::begin_handshake() {
    counts.handshaking.add(1);
    return admission.begin(std::chrono::steady_clock::now());
}

void Server::State::end_handshake(int64_t ticket) {
    counts.handshaking.add(-1);
    admission.end(ticket);
    if (is_draining || !awaits_handshakes) return;
    if (!admission.has_room(std::chrono::steady_clock::now())) return;
    awaits_handshakes = false;
    retry.cancel();
    start_accepting();
}

void Server::State::admit_local(UniqueFd fd) {
    const auto local = local_peer_of(fd.get());
    if (!local) return;
    admit({std::move(fd), nullptr, {}, *local});
}

void Server::State::admit_tcp(UniqueFd fd) {
    const auto peer = peer_of(fd.get());
    // Without TLS a client may end its side when it has said all.
    if (!peer || (tls && has_left(fd.get()))) return counts.abandoned.add();
    tune_tcp(fd.get());
    const auto& proxies = service.proxies;
    const bool is_balancer = std::any_of(proxies.begin(), proxies.end(), [&](const Prefix& prefix) {
        return prefix.contains(peer->address);
    });
    if (is_balancer) return wait_for_proxy_header(std::move(fd), *peer);
    admit_client(std::move(fd), *peer);
}

// Counted in all, but against no address: a balancer's is that of everybody.
void Server::State::wait_for_proxy_header(UniqueFd fd, const Endpoint& balancer) {
    const uint64_t number = next_gate++;
    gates[number] =
        std::make_unique<ProxyGate>(loop, std::move(fd), limits().handshake,
                                    [this, number, balancer](Result<ProxyGate::Passed> outcome) {
                                        leave_gate(number, balancer, std::move(outcome));
                                    });
}

void Server::State::leave_gate(uint64_t number, const Endpoint& balancer,
                               Result<ProxyGate::Passed> outcome) {
    const auto gate = std::move(gates.at(number));  // it is calling: it ends with this function
    gates.erase(number);
    if (outcome) {
        admit_client(std::move(outcome->fd), outcome->client.value_or(balancer));
    } else if (outcome.error().code == Code::Denied) {
        counts.proxy_headers_refused.add();
        const auto now = std::chrono::steady_clock::now();
        if (now >= next_proxy_warning) {
            next_proxy_warning = now + kWarnEvery;
            log::warn("http.proxy_header_refused",
                      {{"peer", balancer.text()}, {"error", outcome.error().message}});
        }
    }
    made_room();
}

void Server::State::admit_client(UniqueFd fd, const Endpoint& client) {
    size_t& count = per_address[counted_address(client.address)];
    if (count >= limits().connections_per_address) {
        counts.refused.add();
        return;
    }
    ++count;
    admit({std::move(fd), nullptr, client, std::nullopt});
}

void Server::State::admit(Accepted accepted) {
    if (tls) {
        accepted.ssl.reset(SSL_new(tls.get()));
        if (!accepted.ssl) {  // out of memory: never in plain text instead
            ERR_clear_error();
            counts.refused.add();
            return uncount(accepted.peer.address);
        }
    }
    counts.accepted.add();
    counts.connections.add(1);
    auto connection = std::make_unique<Connection>(*this, std::move(accepted));
    Connection* key = connection.get();
    connections.emplace(key, std::move(connection));
    if (!key->start()) remove(key);
}

void Server::State::uncount(const Address& peer) {
    const auto found = per_address.find(counted_address(peer));
    if (found != per_address.end() && --found->second == 0) per_address.erase(found);
}

void Server::State::remove(Connection* connection) {
    if (!is_unix) uncount(connection->peer().address);
    connections.erase(connection);
    counts.connections.add(-1);
    if (is_draining) {
        if (connections.empty()) drain_limit = loop.after(0ms, [this] { finish_drain(); });
        return;
    }
    made_room();
}

void Server::State::made_room() {
    if (open_count() < limits().connections && std::exchange(is_full, false)) start_accepting();
}

void Server::State::finish_drain() {
    // Closing one may run a handler's callback, which may close another.
    while (!connections.empty()) connections.begin()->second->close();
    drain_limit.cancel();
    if (const auto done = std::exchange(drained, nullptr)) done();
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen_with(EventLoop& loop, const Endpoint& at,
                                                    Result<SslCtxPtr> context, Service service) {
    if (!context) return failed(context.error());
    auto listener = Listener::tcp(at);
    if (!listener) return failed(listener.error());
    auto state = std::make_unique<State>(loop, std::move(service));
    state->listener = std::move(*listener);
    state->tls = std::move(*context);
    state->start_accepting();
    return std::make_unique<Server>(std::move(state));
}

Result<std::unique_ptr<Server>> Server::listen_tls(EventLoop& loop, const Endpoint& at,
                                                   const TlsServerOptions& tls, Service service) {
    return listen_with(loop, at, server_context(tls), std::move(service));
}

Result<std::unique_ptr<Server>> Server::listen_tls(EventLoop& loop, const Endpoint& at,
                                                   const TlsServerNames& tls, Service service) {
    return listen_with(loop, at, server_context(tls), std::move(service));
}

Result<std::unique_ptr<Server>> Server::listen_unix(EventLoop& loop, const UnixSocket& at,
                                                    Service service) {
    auto listener = Listener::unix_socket(at);
    if (!listener) return failed(listener.error());
    auto state = std::make_unique<State>(loop, std::move(service));
    state->listener = std::move(*listener);
    state->is_unix = true;
    state->start_accepting();
    return std::make_unique<Server>(std::move(state));
}

Result<std::unique_ptr<Server>> Server::listen_plain(EventLoop& loop, const Endpoint& at,
                                                     Service service) {
    if (!at.address.is_loopback())
        return fail(Code::Denied, "listen on {}: without TLS on loopback alone", at.text());
    auto listener = Listener::tcp(at);
    if (!listener) return failed(listener.error());
    auto state = std::make_unique<State>(loop, std::move(service));
    state->listener = std::move(*listener);
    state->start_accepting();
    return std::make_unique<Server>(std::move(state));
}

Endpoint Server::endpoint() const { return state_->listener.at(); }

Result<void> Server::update_tls(const TlsServerOptions& tls) {
    return use_tls(server_context(tls));
}

Result<void> Server::update_tls(const TlsServerNames& tls) { return use_tls(server_context(tls)); }

Result<void> Server::use_tls(Result<SslCtxPtr> context) {
    if (!state_->tls) return fail(Code::Invalid, "this server has no TLS");
    if (!context) return failed(context.error());
    state_->tls = std::move(*context);  // connections hold their own reference to the old one
    return {};
}

void Server::drain(std::chrono::milliseconds limit, std::function<void()> done) {
    State& state = *state_;
    state.is_draining = true;
    state.drained = std::move(done);
    state.acceptable.cancel();
    state.retry.cancel();
    state.listener.close();
    state.gates.clear();
    state.drain_limit = state.loop.after(state.connections.empty() ? 0ms : limit,
                                         [&state] { state.finish_drain(); });
    std::vector<Connection*> open;
    for (const auto& [connection, owned] : state.connections) open.push_back(connection);
    for (Connection* connection : open)
        if (state.connections.contains(connection)) connection->drain();
}

Server::Stats Server::stats() const {
    const Counts& counts = state_->counts;
    Stats stats;
    stats.connections = static_cast<size_t>(counts.connections.value());
    stats.held = static_cast<size_t>(counts.held.value());
    stats.accepted = counts.accepted.value();
    stats.refused = counts.refused.value();
    stats.accept_pauses = counts.accept_pauses.value();
    stats.proxy_headers_refused = counts.proxy_headers_refused.value();
    stats.handshaking = static_cast<size_t>(counts.handshaking.value());
    stats.admission_waits = counts.admission_waits.value();
    stats.abandoned = counts.abandoned.value();
    stats.handshakes = counts.handshakes.value();
    stats.handshakes_failed = counts.handshakes_failed.value();
    stats.requests = counts.requests.value();
    stats.errors = counts.errors.value();
    return stats;
}

}  // namespace cvlan::http
