// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <event2/buffer.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "http/encode.h"
#include "http/response_reader.h"
#include "http/transport.h"

namespace cvlan::http {
namespace {

using namespace std::chrono_literals;

struct Waiting {
    uint64_t id = 0;
    ClientRequest request;
    std::string head;
    Client::Done done;
    Timer deadline;
    bool tried_again = false;
};

std::string host_header(const ClientOptions& options) {
    if (!options.unix_path.empty()) return "localhost";
    const bool is_v6 = options.host.find(':') != std::string::npos;
    const std::string host = is_v6 ? fmt::format("[{}]", options.host) : options.host;
    return options.port == 443 ? host : fmt::format("{}:{}", host, options.port);
}

}  // namespace

struct Client::State final : Transport::Events {
    State(EventLoop& on, ClientOptions what) : loop(on), options(std::move(what)) {}

    void enqueue(ClientRequest request, Done done);
    void go_on();
    void connect();
    void connected(Result<UniqueFd> fd);
    void ready();
    void send_front();
    void timed_out(uint64_t id);
    void reject(uint64_t id, const Error& why);
    void answered();
    void broken(Error why);
    void fail_all(const Error& why);
    void disconnect();

    void on_connected() override { ready(); }
    void on_readable() override;
    void on_written() override {}
    void on_closed(bool clean, Error why) override;

    EventLoop& loop;
    ClientOptions options;
    std::deque<Waiting> queue;     // the first is on the wire when is_busy
    std::deque<Waiting> rejected;  // can not be sent; told so in the loop's next turn
    uint64_t last_id = 0;
    bool is_ready = false;
    bool is_busy = false;
    bool is_reused = false;  // an answer has come over this connection
    std::optional<Tunnel> tunnel;
    std::optional<Transport> transport;
    std::optional<ResponseReader> reader;
    Timer limit;  // of connecting, or of being idle
    // Expires with the State: a callback may have destroyed it.
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

void Client::State::enqueue(ClientRequest request, Done done) {
    Waiting waiting{++last_id, std::move(request), {}, std::move(done), {}};
    auto head = encode_head(waiting.request, host_header(options));
    if (!head) {
        waiting.deadline =
            loop.after(0ms, [this, id = waiting.id, error = head.error()] { reject(id, error); });
        rejected.push_back(std::move(waiting));
        return;
    }
    waiting.head = std::move(*head);
    waiting.deadline =
        loop.after(waiting.request.timeout, [this, id = waiting.id] { timed_out(id); });
    queue.push_back(std::move(waiting));
    go_on();
}

// Does the next thing there is to do. Calls nobody back.
void Client::State::go_on() {
    if (is_busy || tunnel || (transport && !is_ready)) return;
    if (queue.empty()) {
        if (transport) limit = loop.after(options.idle, [this] { disconnect(); });
        return;
    }
    if (is_ready) return send_front();
    connect();
}

void Client::State::connect() {
    is_reused = false;
    limit = loop.after(options.connect_timeout, [this] {
        broken({Code::Unavailable, fmt::format("connect to {}: timed out", options.host)});
    });
    ConnectTarget to{options.host,      options.port,   options.addresses,
                     options.unix_path, options.fwmark, options.may_connect};
    auto proxy = options.proxy ? std::optional(options.proxy->clone()) : std::nullopt;
    tunnel.emplace(loop, std::move(to), std::move(proxy),
                   [this](Result<UniqueFd> fd) { connected(std::move(fd)); });
}

void Client::State::connected(Result<UniqueFd> fd) {
    tunnel.reset();
    if (!fd) return broken(fd.error());
    SslPtr ssl;
    if (options.tls) {
        auto made = client_ssl(options.tls->context(), options.host);
        if (!made) return broken(made.error());
        ssl = std::move(*made);
    }
    transport.emplace(loop, std::move(*fd), std::move(ssl), Transport::Side::Connecting);
    if (!transport->is_open()) return broken({Code::Unavailable, "out of memory"});
    transport->listen_to(this);
    if (!options.tls) ready();
}

void Client::State::ready() {
    is_ready = true;
    limit.cancel();
    transport->read_more(true);
    go_on();
}

void Client::State::send_front() {
    const Waiting& front = queue.front();
    limit.cancel();
    is_busy = true;
    reader.emplace(ResponseExpectation{front.request.method == "HEAD", options.body_bytes});
    evbuffer* output = transport->output();
    evbuffer_add(output, front.head.data(), front.head.size());
    evbuffer_add(output, front.request.body.data(), front.request.body.size());
}

void Client::State::on_readable() {
    // Nobody asked: whatever this is, it must not become the answer to the next request.
    if (!is_busy) return disconnect();
    const auto whole = reader->read(transport->input());
    if (!whole) return broken(whole.error());
    if (*whole) answered();
}

void Client::State::answered() {
    Response response = reader->take();
    const bool all_sent = evbuffer_get_length(transport->output()) == 0;
    const bool nothing_more = evbuffer_get_length(transport->input()) == 0;
    const bool keep = reader->keep_alive() && all_sent && nothing_more;
    const Done done = std::move(queue.front().done);
    queue.pop_front();
    is_busy = false;
    is_reused = true;
    if (!keep) disconnect();
    go_on();
    done(std::move(response));  // may destroy this
}

void Client::State::on_closed(bool, Error why) {
    if (is_ready && !is_busy) return disconnect();
    broken(std::move(why));
}

// The connection is over. The request on the wire gets another try or the error; when there was no
// connection at all, none of those that wait would fare better.
void Client::State::broken(Error why) {
    const bool on_wire = is_busy;
    const bool silent = on_wire && is_reused && !reader->has_begun();
    disconnect();
    if (!on_wire) return fail_all(why);
    Waiting& front = queue.front();
    const bool is_safe = front.request.method == "GET" || front.request.method == "HEAD";
    if (silent && is_safe && !std::exchange(front.tried_again, true)) return go_on();
    const Done done = std::move(front.done);
    queue.pop_front();
    go_on();
    done(failed(std::move(why)));  // may destroy this
}

void Client::State::fail_all(const Error& why) {
    std::deque<Waiting> failing = std::exchange(queue, {});
    const std::weak_ptr<bool> living = alive;
    for (auto& waiting : failing) {
        if (living.expired()) return;
        const Done done = std::move(waiting.done);
        waiting.deadline.cancel();
        done(failed(why));
    }
}

void Client::State::timed_out(uint64_t id) {
    const auto found =
        std::find_if(queue.begin(), queue.end(), [id](const Waiting& one) { return one.id == id; });
    if (found == queue.end()) return;
    if (is_busy && found == queue.begin()) disconnect();
    const Done done = std::move(found->done);
    const std::string target = found->request.target;
    queue.erase(found);
    go_on();
    done(fail(Code::Unavailable, "{} {}: no answer in time", options.host, target));
}

void Client::State::reject(uint64_t id, const Error& why) {
    const auto found = std::find_if(rejected.begin(), rejected.end(),
                                    [id](const Waiting& one) { return one.id == id; });
    const Done done = std::move(found->done);
    rejected.erase(found);
    done(failed(why));
}

void Client::State::disconnect() {
    limit.cancel();
    tunnel.reset();
    if (transport && transport->is_open()) transport->half_close();
    transport.reset();
    is_ready = false;
    is_busy = false;
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::~Client() {
    state_->alive.reset();
    state_->disconnect();
}

Result<std::unique_ptr<Client>> Client::open(EventLoop& loop, ClientOptions options) {
    auto state = std::make_unique<State>(loop, std::move(options));
    ClientOptions& chosen = state->options;
    if (!chosen.unix_path.empty()) {
        chosen.tls.reset();
    } else if (chosen.host.empty()) {
        return fail(Code::Invalid, "no host");
    } else if (!chosen.tls) {
        auto tls =
            client_tls({std::exchange(chosen.trust, {}), std::exchange(chosen.certificate_pem, {}),
                        std::move(chosen.private_key_pem)});
        if (!tls) return failed(tls.error());
        chosen.tls = std::move(*tls);
    }
    return std::make_unique<Client>(std::move(state));
}

void Client::request(ClientRequest request, Done done) {
    state_->enqueue(std::move(request), std::move(done));
}

}  // namespace cvlan::http
