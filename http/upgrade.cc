// SPDX-License-Identifier: Apache-2.0
#include "http/upgrade.h"

#include <event2/buffer.h>

#include <tuple>
#include <utility>

#include "http/encode.h"
#include "http/response_reader.h"
#include "http/transport.h"
#include "http/tunnel.h"

namespace cvlan::http {
namespace {

// What a refusal may say about itself.
constexpr size_t kMostRefusal = size_t{64} * 1024;

}  // namespace

struct UpgradeAttempt::State final : Transport::Events {
    State(EventLoop& on, UpgradeTarget what, Done then)
        : loop(on), target(std::move(what)), done(std::move(then)) {}

    void start();
    void connected(Result<UniqueFd> fd);
    void finish(Result<std::pair<Upgraded, Response>> result);

    void on_connected() override;
    void on_readable() override;
    void on_written() override {}
    void on_closed(bool, Error why) override { finish(failed(std::move(why))); }

    EventLoop& loop;
    UpgradeTarget target;
    Done done;
    Timer limit;
    std::optional<Tunnel> tunnel;
    std::optional<Transport> transport;
    std::optional<ResponseReader> reader;
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
    tunnel.emplace(loop, std::move(to), std::move(target.proxy),
                   [this](Result<UniqueFd> fd) { connected(std::move(fd)); });
}

void UpgradeAttempt::State::connected(Result<UniqueFd> fd) {
    if (!fd) return finish(failed(fd.error()));
    tunnel.reset();
    auto ssl = client_ssl(target.tls->context(), target.server_name);
    if (!ssl) return finish(failed(ssl.error()));
    transport.emplace(loop, std::move(*fd), std::move(*ssl), Transport::Side::Connecting);
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

void UpgradeAttempt::State::on_readable() {
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
