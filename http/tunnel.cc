// SPDX-License-Identifier: Apache-2.0
#include "http/tunnel.h"

#include <event2/buffer.h>

#include <utility>

#include "base/bytes.h"
#include "http/client.h"
#include "http/encode.h"
#include "http/origin.h"
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

Result<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto byte = from_hex(text.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return fail(Code::Invalid, "a bad percent-encoding");
        out += static_cast<char>(byte->front());
        i += 2;
    }
    return out;
}

}  // namespace

std::string ProxyTarget::text() const {
    return fmt::format("http://{}{}", authorization.empty() ? "" : "***@", authority(host, port));
}

Result<ProxyTarget> parse_proxy(std::string_view url) {
    constexpr std::string_view kScheme = "http://";
    const auto wrong = [] {
        return fail(Code::Invalid, "must be http://[USER:PASSWORD@]HOST:PORT");
    };
    if (!url.starts_with(kScheme)) return wrong();
    url.remove_prefix(kScheme.size());
    if (url.ends_with('/')) url.remove_suffix(1);
    ProxyTarget proxy;
    if (const size_t at = url.rfind('@'); at != std::string_view::npos) {
        const auto credentials = percent_decoded(url.substr(0, at));
        if (!credentials || credentials->find(':') == std::string::npos) return wrong();
        proxy.authorization = SecretText("Basic " + base64(as_bytes(*credentials)));
        url.remove_prefix(at + 1);
    }
    const auto origin = parse_origin("https://" + std::string(url));
    if (!origin) return wrong();
    // No default: those of proxies differ.
    if (url.ends_with(']') || url.find(':') == std::string_view::npos) return wrong();
    proxy.host = origin->host;
    proxy.port = origin->port;
    return proxy;
}

struct Tunnel::State final : Transport::Events {
    State(EventLoop& on, ConnectTarget where, std::optional<ProxyTarget> by, Connector::Done then)
        : loop(on), target(std::move(where)), proxy(std::move(by)), done(std::move(then)) {}

    void start() {
        ConnectTarget first = target;
        if (proxy) first = {proxy->host, proxy->port, {}, {}, target.fwmark};
        connector.emplace(loop, std::move(first),
                          [this](Result<UniqueFd> fd) { connected(std::move(fd)); });
    }
    void connected(Result<UniqueFd> fd) {
        if (!fd || !proxy) return finish(std::move(fd));
        connector.reset();
        const auto& addresses = target.addresses;
        const std::string host = addresses.empty() ? target.host : addresses.front().text();
        auto head = connect_head(authority(host, target.port), proxy->authorization);
        if (!head) return finish(failed(head.error()));
        transport.emplace(loop, std::move(*fd), nullptr, Transport::Side::Connecting);
        if (!transport->is_open()) return finish(fail(Code::Unavailable, "out of memory"));
        transport->listen_to(this);
        evbuffer_add(transport->output(), head->data(), head->size());
        transport->read_more(true);
    }
    void on_connected() override {}
    void on_written() override {}
    void on_closed(bool, Error why) override { finish(failed(why.while_doing("proxy"))); }
    void on_readable() override {
        const auto whole = reader.read(transport->input());
        if (!whole) return finish(failed(whole.error().while_doing("proxy")));
        if (!*whole) return;
        const int status = reader.take().status;
        if (status / 100 != 2)
            return finish(fail(status == 403 || status == 407 ? Code::Denied : Code::Unavailable,
                               "the proxy answered {}", status));
        // Before our hello nobody behind the proxy has anything to say.
        if (evbuffer_get_length(transport->input()) > 0)
            return finish(fail(Code::Malformed, "the proxy speaks first"));
        finish(transport->give_away().first);
    }
    void finish(Result<UniqueFd> result) {
        const auto then = std::exchange(done, nullptr);
        if (then) then(std::move(result));  // may destroy this
    }

    EventLoop& loop;
    ConnectTarget target;
    std::optional<ProxyTarget> proxy;
    Connector::Done done;
    std::optional<Connector> connector;
    std::optional<Transport> transport;
    ResponseReader reader{{.to_head = true, .body_bytes = kMostRefusal}};
};

Tunnel::Tunnel(EventLoop& loop, ConnectTarget target, std::optional<ProxyTarget> proxy,
               Connector::Done done)
    : state_(std::make_unique<State>(loop, std::move(target), std::move(proxy), std::move(done))) {
    state_->start();
}
Tunnel::~Tunnel() = default;

}  // namespace cvlan::http
