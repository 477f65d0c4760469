// SPDX-License-Identifier: Apache-2.0
#include "http/connection.h"

#include <event2/buffer.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/encode.h"
#include "http/server_state.h"
#include "http/trace.h"

namespace cvlan::http {
namespace {

using namespace std::chrono_literals;

// What a client may send ahead while its request is being answered.
constexpr size_t kReadAhead = size_t{64} * 1024;
// What waits in a connection's buffer for a slow reader; with TLS records and the kernel's unsent
// bytes this stays below 256 KiB.
constexpr size_t kBuffered = size_t{96} * 1024;
constexpr size_t kLowWater = size_t{32} * 1024;
constexpr size_t kSlice = size_t{32} * 1024;
// Below this a copy is cheaper than a reference, and shares its TLS record with its neighbours.
constexpr size_t kCopied = 4096;
// What a reader must take in each write deadline, unless less is left.
constexpr size_t kSlowest = size_t{32} * 1024;
constexpr auto kLinger = 2s;

// Host without port: "[::1]:8443" -> "[::1]", "name:8443" -> "name".
std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return host.substr(0, host.find(':'));
}

bool is_allowed(const std::vector<std::string>& names, std::string_view host) {
    const std::string_view asked = host_name(host);
    return names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
               return name.size() == asked.size() &&
                      strncasecmp(name.data(), asked.data(), asked.size()) == 0;
           });
}

// To the head, as libevent makes a TLS record and a packet of each piece it is given.
void append_body(std::string& head, const Response& response) {
    head += response.body;
    for (const auto& chunk : response.chunks) head += *chunk;
}

std::string fresh_id() { return new_uuid(unix_ms(SystemClock().now())); }

}  // namespace

Connection::Connection(Server::State& server, Accepted accepted)
    : server_(server), peer_(accepted.peer), local_(accepted.local), reader_(server.limits()) {
    transport_.emplace(server.loop, std::move(accepted.fd), std::move(accepted.ssl),
                       Transport::Side::Accepting);
    transport_->listen_to(this);
    deadline_ = server_.loop.deadline(deadline_of(phase_), [this] { on_deadline(); });
}

Connection::~Connection() {
    leave_handshake();
    if (is_held()) server_.counts.held.add(-1);
    if (exchange_) exchange_->answer = nullptr;
}

bool Connection::start() {
    if (!transport_->is_open()) return false;
    if (transport_->ssl()) {
        handshake_ = server_.begin_handshake();
        enter(Phase::Handshake);
    } else {
        on_connected();
    }
    return true;
}

std::chrono::milliseconds Connection::deadline_of(Phase phase) const {
    const Limits& limits = server_.limits();
    switch (phase) {
        case Phase::Handshake:
            return limits.handshake;
        case Phase::Idle:
            return limits.idle;
        case Phase::Head:
            return limits.head;
        case Phase::Body:
            return limits.body;
        case Phase::Answering:
            return limits.held;
        case Phase::Writing:
            return limits.write;
        case Phase::Lingering:
            break;
    }
    return kLinger;
}

void Connection::enter(Phase phase) {
    if (is_held()) server_.counts.held.add(-1);
    phase_ = phase;
    if (is_held()) server_.counts.held.add(1);
    deadline_.restart(deadline_of(phase));
}

void Connection::leave_handshake() {
    if (const auto ticket = std::exchange(handshake_, std::nullopt)) server_.end_handshake(*ticket);
}

void Connection::on_connected() {
    leave_handshake();
    if (transport_->ssl()) {
        server_.counts.handshakes.add();
        certificate_ = PeerCertificate::of(transport_->ssl());
        forget_chain(transport_->ssl());
    }
    enter(Phase::Head);
    transport_->read_more(true);
}

void Connection::on_readable() {
    const bool reading = phase_ == Phase::Idle || phase_ == Phase::Head || phase_ == Phase::Body;
    if (reading) return read_request();
    if (evbuffer_get_length(transport_->input()) >= kReadAhead) transport_->read_more(false);
}

void Connection::read_request() {
    switch (reader_.read(transport_->input())) {
        case RequestReader::Step::NeedHead:
            return need_head();
        case RequestReader::Step::NeedBody:
            return need_body();
        case RequestReader::Step::Refused:
            return refuse(reader_.problem());
        case RequestReader::Step::Done:
            return dispatch();
    }
}

void Connection::need_head() {
    if (at_end_) return close();
    const bool begun = evbuffer_get_length(transport_->input()) > 0;
    if (begun && phase_ != Phase::Head) return enter(Phase::Head);
    if (begun || phase_ == Phase::Head || phase_ == Phase::Idle) return;
    if (server_.is_draining) return linger();
    enter(Phase::Idle);
}

void Connection::need_body() {
    if (at_end_) return close();
    if (phase_ != Phase::Body) enter(Phase::Body);
    if (!reader_.expects_continue() || continued_) return;
    continued_ = true;
    static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
    evbuffer_add(transport_->output(), kGoOn.data(), kGoOn.size());
}

void Connection::dispatch() {
    Request& request = reader_.request();
    is_head_request_ = request.method == "HEAD";
    close_after_ = close_after_ || !reader_.keep_alive();
    if (!is_allowed(server_.limits().allowed_hosts, *request.header("Host")))
        return refuse({421, "MISDIRECTED_REQUEST", "this Host is not served here"});
    request_id_ = fresh_id();
    request.request_id = request_id_;
    request.trace_id = trace_id_of(request.headers, request_id_);
    request.peer = peer_;
    request.local = local_;
    request.client_certificate = certificate_;
    request.loop = &server_.loop;
    if (SSL* ssl = transport_->ssl())
        if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
            request.server_name = name;
    server_.counts.requests.add();
    enter(Phase::Answering);
    exchange_ = std::make_shared<Exchange>(
        Exchange{[this](Response response) { answer(std::move(response)); }, request_id_});
    exchange_->upgrade = [this](Response head, Leave leave) {
        upgrade(std::move(head), std::move(leave));
    };
    try {
        server_.service.handler(std::move(request), Reply(exchange_));
    } catch (const std::exception& failure) {
        // The Reply is gone with the handler's frame and has answered 500.
        log::error("http.handler_failed", {{"error", failure.what()}});
    }
}

void Connection::refuse(const Problem& refused) {
    server_.counts.errors.add();
    close_after_ = true;
    if (request_id_.empty()) request_id_ = fresh_id();
    send(problem(refused, request_id_));
}

std::function<void()> Connection::leave_exchange() {
    const auto exchange = std::exchange(exchange_, nullptr);
    if (!exchange) return nullptr;
    exchange->answer = nullptr;
    exchange->drain = nullptr;
    exchange->upgrade = nullptr;
    return std::exchange(exchange->gone, nullptr);
}

void Connection::answer(Response response) {
    const auto unused = leave_exchange();
    send(std::move(response));
}

void Connection::upgrade(Response head, Leave leave) {
    const auto unused = leave_exchange();
    if (server_.is_draining) return refuse({503, "DRAINING", "this server is ending"});
    // From here on nothing is a request: what has come stays as it is for whoever takes over.
    transport_->read_more(false);
    close_after_ = false;
    leave_ = std::move(leave);
    send(std::move(head));
}

void Connection::give_up_held() {
    const auto gone = leave_exchange();
    refuse({503, "TIMED_OUT", "the answer took too long"});
    if (gone) gone();
}

void Connection::send(Response response) {
    close_after_ = close_after_ || server_.is_draining;
    auto head = encode_head(response, {request_id_, close_after_});
    if (!head) {
        log::error("http.response_invalid", {{"error", head.error().message}});
        response = problem({500, "INTERNAL", "the answer can not be sent"}, request_id_);
        head = encode_head(response, {request_id_, close_after_});
    }
    std::string& bytes = *head;
    const bool has_body = !is_head_request_ && !has_no_body(response.status);
    const bool is_small = has_body && body_bytes(response) < kCopied;
    if (is_small) append_body(bytes, response);
    evbuffer_add(transport_->output(), bytes.data(), bytes.size());
    if (has_body && !is_small) queue_body(std::move(response));
    enter(Phase::Writing);
    pump();
    unsent_before_ = unsent();
}

void Connection::queue_body(Response response) {
    waiting_ = body_bytes(response);
    if (!response.body.empty())
        outgoing_.push_back(std::make_shared<const std::string>(std::move(response.body)));
    for (auto& chunk : response.chunks)
        if (!chunk->empty()) outgoing_.push_back(std::move(chunk));
}

// Moves bodies into the transport's buffer, by reference, as far as there is room.
void Connection::pump() {
    evbuffer* output = transport_->output();
    while (next_ < outgoing_.size() && evbuffer_get_length(output) < kBuffered) {
        auto& chunk = outgoing_[next_];
        const size_t size = std::min(chunk->size() - offset_, kSlice);
        const char* bytes = chunk->data() + offset_;
        if (size < kCopied) {
            evbuffer_add(output, bytes, size);
        } else {
            const auto release = [](const void*, size_t, void* held) {
                delete static_cast<std::shared_ptr<const std::string>*>(held);
            };
            evbuffer_add_reference(output, bytes, size, release,
                                   new std::shared_ptr<const std::string>(chunk));
        }
        offset_ += size;
        waiting_ -= size;
        if (offset_ < chunk->size()) continue;
        chunk.reset();
        ++next_;
        offset_ = 0;
    }
    transport_->low_water(waiting_ > 0 ? kLowWater : 0);
}

size_t Connection::unsent() const { return waiting_ + evbuffer_get_length(transport_->output()); }

void Connection::on_written() {
    if (phase_ != Phase::Writing) return;
    pump();
    if (unsent() == 0) finish_answer();
}

void Connection::finish_answer() {
    outgoing_.clear();
    next_ = 0;
    if (leave_) return leave_http();
    if (close_after_) return linger();
    reader_ = RequestReader(server_.limits());
    request_id_.clear();
    is_head_request_ = false;
    continued_ = false;
    if (!at_end_) transport_->read_more(true);
    read_request();
}

void Connection::leave_http() {
    Upgraded upgraded;
    evbuffer* input = transport_->input();
    upgraded.ahead.resize(evbuffer_get_length(input));
    evbuffer_remove(input, upgraded.ahead.data(), upgraded.ahead.size());
    std::tie(upgraded.fd, upgraded.ssl) = transport_->give_away();
    const Leave leave = std::move(leave_);
    server_.remove(this);  // destroys this
    leave(std::move(upgraded));
}

void Connection::on_closed(bool clean, Error why) {
    if (phase_ == Phase::Handshake) {
        server_.counts.handshakes_failed.add();
        leave_handshake();
        log::debug("http.handshake_failed", {{"peer", peer_.text()}, {"error", why.message}});
        return linger();  // for the alert to arrive
    }
    if (phase_ != Phase::Writing || !clean) return close();
    // It has said all it wants to and may still read: what it sent ahead is answered.
    at_end_ = true;
    transport_->write_on();
}

void Connection::on_deadline() {
    switch (phase_) {
        case Phase::Handshake:
            server_.counts.handshakes_failed.add();
            return close();
        case Phase::Head:
            if (evbuffer_get_length(transport_->input()) == 0) return linger();
            return refuse({408, "REQUEST_TIMEOUT", "the head did not come in time"});
        case Phase::Body:
            return refuse({408, "REQUEST_TIMEOUT", "the body did not come in time"});
        case Phase::Answering:
            return give_up_held();
        case Phase::Writing:
            return check_progress();
        case Phase::Idle:
            return linger();
        case Phase::Lingering:
            return close();
    }
}

void Connection::check_progress() {
    const size_t left = unsent();
    if (left + kSlowest > unsent_before_) return close();
    unsent_before_ = left;
    enter(Phase::Writing);
}

// Closing a socket that holds unread bytes sends a reset, which would overtake our last words.
void Connection::linger() {
    rest_ = transport_->half_close();
    transport_.reset();
    enter(Phase::Lingering);
    rest_watch_ = server_.loop.on_readable(rest_.get(), [this] { discard(); });
}

void Connection::discard() {
    char ignored[16 * 1024];
    const ssize_t got = recv(rest_.get(), ignored, sizeof ignored, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close();
}

void Connection::drain() {
    const bool untouched = phase_ == Phase::Head && evbuffer_get_length(transport_->input()) == 0;
    if (phase_ == Phase::Handshake) return close();
    if (phase_ == Phase::Idle || untouched) return linger();
    if (phase_ != Phase::Answering || !exchange_->drain) return;
    const auto run = std::exchange(exchange_->drain, nullptr);
    run();
}

void Connection::close() {
    const auto gone = leave_exchange();
    server_.remove(this);  // destroys this
    if (gone) gone();
}

}  // namespace cvlan::http
