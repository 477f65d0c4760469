// SPDX-License-Identifier: Apache-2.0
#include "http/upgrade.h"

#include <event2/buffer.h>

#include <tuple>
#include <utility>

#include "http/connector.h"
#include "http/encode.h"
#include "http/response_reader.h"
#include "http/transport.h"

namespace cvlan::http {
namespace {

// What a refusal may say about itself.
constexpr size_t kMostRefusal = size_t{64} * 1024;

std::string authority(const std::string& host, uint16_t port) {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

// CONNECT has a target of its own form, which encode_head() knows nothing of.
Result<std::string> connect_head(const std::string& to, const SecretText& authorization) {
    ClientRequest request;
    request.method = "CONNECT";
    request.target = "/";
    if (!authorization.empty())
        request.headers.push_back({"Proxy-Authorization", authorization.reveal()});
    auto head = encode_head(request, to);
    if (!head) return head;
    constexpr std::string_view kBegins = "CONNECT / ";
    return "CONNECT " + to + ' ' + head->substr(kBegins.size());
}

}  // namespace

struct UpgradeAttempt::State final : Transport::Events {
    State(EventLoop& on, UpgradeTarget what, Done then)
        : loop(on), target(std::move(what)), done(std::move(then)) {}

    void start();
    void connected(Result<UniqueFd> fd);
    void ask_proxy(UniqueFd fd);
    void begin_tls(UniqueFd fd);
    void read_proxy();
    void read_answer();
    void finish(Result<std::pair<Upgraded, Response>> result);

    void on_connected() override;
    void on_readable() override;
    void on_written() override {}
    void on_closed(bool, Error why) override { finish(failed(std::move(why))); }

    EventLoop& loop;
    UpgradeTarget target;
    Done done;
    Timer limit;
    std::optional<Connector> connector;
    std::optional<Transport> transport;
    std::optional<ResponseReader> reader;
    bool is_at_proxy = false;
};

UpgradeAttempt::UpgradeAttempt(EventLoop& loop, UpgradeTarget target, Done done)
    : state_(std::make_unique<State>(loop, std::move(target), std::move(done))) {
    state_->start();
}
UpgradeAttempt::~UpgradeAttempt() = default;

void UpgradeAttempt::State::start() {
    limit = loop.after(target.timeout, [this] {
        finish(fail(Code::Unavailable, "{}: timed out", target.server_name));
    });
    ConnectTarget to{target.server_name, target.port, target.addresses, {}, target.fwmark};
    if (target.proxy) {
        to.host = target.proxy->host;
        to.port = target.proxy->port;
        to.addresses.clear();
    }
    connector.emplace(loop, std::move(to),
                      [this](Result<UniqueFd> fd) { connected(std::move(fd)); });
}

void UpgradeAttempt::State::connected(Result<UniqueFd> fd) {
    if (!fd) return finish(failed(fd.error()));
    connector.reset();
    if (target.proxy) return ask_proxy(std::move(*fd));
    begin_tls(std::move(*fd));
}

void UpgradeAttempt::State::ask_proxy(UniqueFd fd) {
    const std::string host =
        target.addresses.empty() ? target.server_name : target.addresses.front().text();
    auto head = connect_head(authority(host, target.port), target.proxy->authorization);
    if (!head) return finish(failed(head.error()));
    is_at_proxy = true;
    transport.emplace(loop, std::move(fd), nullptr, Transport::Side::Connecting);
    if (!transport->is_open()) return finish(fail(Code::Unavailable, "out of memory"));
    transport->listen_to(this);
    reader.emplace(ResponseExpectation{.to_head = true, .body_bytes = kMostRefusal});
    evbuffer_add(transport->output(), head->data(), head->size());
    transport->read_more(true);
}

void UpgradeAttempt::State::read_proxy() {
    const auto whole = reader->read(transport->input());
    if (!whole) return finish(failed(whole.error().while_doing("proxy")));
    if (!*whole) return;
    const int status = reader->take().status;
    if (status / 100 != 2)
        return finish(fail(status == 403 || status == 407 ? Code::Denied : Code::Unavailable,
                           "the proxy answered {}", status));
    // Before our hello nobody behind the proxy has anything to say.
    if (evbuffer_get_length(transport->input()) > 0)
        return finish(fail(Code::Malformed, "the proxy speaks first"));
    is_at_proxy = false;
    UniqueFd fd = transport->give_away().first;
    transport.reset();
    begin_tls(std::move(fd));
}

void UpgradeAttempt::State::begin_tls(UniqueFd fd) {
    auto ssl = client_ssl(target.tls->context(), target.server_name);
    if (!ssl) return finish(failed(ssl.error()));
    transport.emplace(loop, std::move(fd), std::move(*ssl), Transport::Side::Connecting);
    if (!transport->is_open()) return finish(fail(Code::Unavailable, "out of memory"));
    transport->listen_to(this);
}

void UpgradeAttempt::State::on_connected() {
    ClientRequest request;
    request.target = target.path;
    request.headers = std::move(target.headers);
    request.headers.push_back({"Connection", "Upgrade"});
    auto head = encode_head(request, target.server_name);
    if (!head) return finish(failed(head.error()));
    reader.emplace(ResponseExpectation{.body_bytes = kMostRefusal, .upgrade = true});
    evbuffer_add(transport->output(), head->data(), head->size());
    transport->read_more(true);
}

void UpgradeAttempt::State::on_readable() { is_at_proxy ? read_proxy() : read_answer(); }

void UpgradeAttempt::State::read_answer() {
    const auto whole = reader->read(transport->input());
    if (!whole) return finish(failed(whole.error()));
    if (!*whole) return;
    transport->read_more(false);
    Response head = reader->take();
    if (head.status != 101)
        return finish(
            fail_as(kNotUpgraded, code_of_http(head.status),
                    fmt::format("{} answered {}, and not 101", target.server_name, head.status)));
    Upgraded upgraded;
    upgraded.ahead.resize(evbuffer_get_length(transport->input()));
    evbuffer_remove(transport->input(), upgraded.ahead.data(), upgraded.ahead.size());
    std::tie(upgraded.fd, upgraded.ssl) = transport->give_away();
    finish(std::make_pair(std::move(upgraded), std::move(head)));
}

void UpgradeAttempt::State::finish(Result<std::pair<Upgraded, Response>> result) {
    limit.cancel();
    const auto then = std::exchange(done, nullptr);
    if (then) then(std::move(result));  // may destroy this
}

}  // namespace cvlan::http
