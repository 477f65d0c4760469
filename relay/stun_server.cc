// SPDX-License-Identifier: Apache-2.0
#include "relay/stun_server.h"

#include <algorithm>
#include <cerrno>

#include "stun/builder.h"

namespace cvlan::relay {

namespace {

constexpr uint16_t kUnknownAttribute = 420;  // RFC 8489 section 14.8

}  // namespace

Result<uint16_t> StunServer::listen(const Endpoint& at) {
    auto made = UdpSocket::open(loop_, *shared_, *this, at);
    if (!made) return failed(made.error());
    listening_.push_back(std::move(*made));
    return listening_.back()->port();
}

Result<void> StunServer::open_port(uint16_t port) {
    const bool is_open = std::any_of(ports_.begin(), ports_.end(),
                                     [&](const auto& one) { return one.first == port; });
    if (is_open) return {};
    size_t families = 0;
    for (const char* any : {"0.0.0.0", "::"}) {
        auto made = UdpSocket::open(loop_, *shared_, *this, {*Address::parse(any), port});
        // A machine without this family has nobody who could come by it.
        if (!made && made.error().sys_errno == EAFNOSUPPORT) continue;
        if (!made) {
            close_port(port);
            return failed(made.error());
        }
        ports_.emplace_back(port, std::move(*made));
        ++families;
    }
    if (families == 0) return fail(Code::Unavailable, "neither IPv4 nor IPv6 here");
    return {};
}

void StunServer::close_port(uint16_t port) {
    std::erase_if(ports_, [&](const auto& one) { return one.first == port; });
}

size_t StunServer::on_datagram(ByteView datagram, const Endpoint& from, const Endpoint& to,
                               std::span<uint8_t> answer) {
    ++stats_.datagrams;
    stats_.bytes_in += datagram.size();
    if (!stun::Message::looks_like_one(datagram)) return 0;
    const auto request = stun::Message::parse(datagram);
    if (!request || request->message_class() != stun::Class::Request) return 0;
    size_t size = 0;
    if (request->method() == stun::Method::Bind && bind_) {
        size = bind_(*request, from, to, answer);
    } else if (request->method() == stun::Method::Binding) {
        const bool is_good = request->unknown().empty();
        stun::Builder builder(answer, is_good ? stun::Class::Success : stun::Class::Error,
                              stun::Method::Binding, request->transaction());
        if (is_good)
            builder.mapped(from);
        else
            builder.error({kUnknownAttribute, {}}).refused(request->unknown().types());
        if (request->has_fingerprint()) builder.fingerprint();
        const auto built = builder.finish();
        if (!built || built->size() > datagram.size()) return 0;
        size = built->size();
        ++stats_.bindings;
    }
    if (size <= datagram.size()) stats_.bytes_out += size;
    return size;
}

}  // namespace cvlan::relay
