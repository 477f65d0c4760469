// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a Server is made of: the listener, the connections it owns, and their counts.

#include <chrono>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/metrics.h"
#include "http/admission.h"
#include "http/connection.h"
#include "http/listener.h"
#include "http/proxy_gate.h"
#include "http/server.h"
#include "http/tls_context.h"

namespace cvlan::http {

// What Server::Stats tells, counted where any thread may read it.
struct Counts {
    metrics::Gauge connections;
    metrics::Gauge held;
    metrics::Counter accepted;
    metrics::Counter refused;
    metrics::Counter accept_pauses;
    metrics::Counter proxy_headers_refused;
    metrics::Gauge handshaking;
    metrics::Counter admission_waits;
    metrics::Counter abandoned;
    metrics::Counter handshakes;
    metrics::Counter handshakes_failed;
    metrics::Counter requests;
    metrics::Counter errors;
};

struct Server::State {
    State(EventLoop& on, Service what)
        : loop(on), service(std::move(what)), admission(service.limits.young_handshakes) {}
    ~State();

    void start_accepting();
    void pause_accepting(std::string_view why);
    void accept_some();
    void wait_for_handshakes();
    int64_t begin_handshake();
    void end_handshake(int64_t ticket);
    void admit_local(UniqueFd fd);
    void admit_tcp(UniqueFd fd);
    void wait_for_proxy_header(UniqueFd fd, const Endpoint& balancer);
    void leave_gate(uint64_t number, const Endpoint& balancer, Result<ProxyGate::Passed> outcome);
    void admit_client(UniqueFd fd, const Endpoint& client);
    void admit(Accepted accepted);
    void uncount(const Address& peer);
    void remove(Connection* connection);
    void made_room();
    size_t open_count() const { return connections.size() + gates.size(); }
    void finish_drain();
    const Limits& limits() const { return service.limits; }

    EventLoop& loop;
    Service service;
    Listener listener;
    SslCtxPtr tls;  // null: plain
    bool is_unix = false;
    Watch acceptable;
    Timer retry;
    bool is_paused = false;
    bool is_full = false;
    Admission admission;
    bool awaits_handshakes = false;

    std::unordered_map<Connection*, std::unique_ptr<Connection>> connections;
    std::unordered_map<uint64_t, std::unique_ptr<ProxyGate>> gates;
    uint64_t next_gate = 0;
    std::chrono::steady_clock::time_point next_proxy_warning{};
    std::map<Address, size_t> per_address;
    Counts counts;

    bool is_draining = false;
    Timer drain_limit;
    std::function<void()> drained;
};

}  // namespace cvlan::http
