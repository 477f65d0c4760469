// SPDX-License-Identifier: Apache-2.0
#include "reach/port_mapper.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "reach/big_endian.h"

namespace cvlan::reach {

namespace {

using namespace std::chrono_literals;

constexpr auto kUpnpLifetime = 7200s;
constexpr std::chrono::milliseconds kFirstUpnpPause = 1min;
constexpr std::chrono::milliseconds kMostUpnpPause = 1h;
constexpr size_t kMostAnswer = 1100;  // PCP's
// Of one wake-up: what comes faster than this is not a gateway's.
constexpr int kMostRead = 16;

sockaddr_storage to_sockaddr(const Endpoint& endpoint, uint32_t if_index, socklen_t& size) {
    sockaddr_storage storage{};
    size = endpoint.to_sockaddr(storage);
    if (storage.ss_family == AF_INET6 && endpoint.address.is_link_local())
        reinterpret_cast<sockaddr_in6&>(storage).sin6_scope_id = if_index;
    return storage;
}

}  // namespace

PortMapper::PortMapper(EventLoop& loop, const Clock& clock, Options options, Changed changed)
    : loop_(loop), clock_(clock), options_(std::move(options)), changed_(std::move(changed)) {}

Result<std::unique_ptr<PortMapper>> PortMapper::open(EventLoop& loop, const Clock& clock,
                                                     Options options, Changed changed) {
    std::unique_ptr<PortMapper> mapper(
        new PortMapper(loop, clock, std::move(options), std::move(changed)));
    if (auto opened = mapper->open_socket(); !opened)
        return failed(opened.error().while_doing("port mapping"));
    mapper->open_announcements();
    mapper->mapping_.emplace(
        PortMapping::Wanted{
            .own = mapper->own_, .port = mapper->options_.port, .nonce = mapper->options_.nonce},
        read_u32(random_bytes(4).data()));
    mapper->mapping_->start(clock.since_boot());
    mapper->settle();
    return mapper;
}

// Connected: answers come from the gateway's port alone, and our own address is the one that it
// sees, which PCP's requests must name (RFC 6887 section 8.1).
Result<void> PortMapper::open_socket() {
    socklen_t size = 0;
    const auto to = to_sockaddr({options_.gateway, options_.server_port}, options_.if_index, size);
    socket_.reset(socket(options_.gateway.af(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) return failed(errno_error("socket"));
    if (options_.mark != 0 &&
        setsockopt(socket_.get(), SOL_SOCKET, SO_MARK, &options_.mark, sizeof options_.mark) != 0 &&
        errno != EPERM)
        return failed(errno_error("SO_MARK"));
    sockaddr_storage own{};
    socklen_t own_size = options_.own ? Endpoint{*options_.own, 0}.to_sockaddr(own) : 0;
    if (options_.own && bind(socket_.get(), reinterpret_cast<const sockaddr*>(&own), own_size) != 0)
        return failed(errno_error(options_.own->text()));
    if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), size) != 0) {
        Error error = errno_error(options_.gateway.text());
        error.code = Code::Unavailable;
        return failed(std::move(error));
    }
    own_size = sizeof own;
    if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&own), &own_size) != 0)
        return failed(errno_error("getsockname"));
    const auto endpoint = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&own), own_size);
    if (!endpoint) return failed(endpoint.error());
    own_ = endpoint->address;
    watch_ = loop_.on_readable(socket_.get(), [this] { read_answers(); });
    return {};
}

// RFC 6887 section 14.1, RFC 6886 section 3.2.1: sent to all hosts of the link, so several programs
// of a host listen. Where one of them keeps the port for itself, a gateway that began anew is
// noticed at half of the mapping's life.
void PortMapper::open_announcements() {
    if (options_.announce_port == 0 || !options_.gateway.is_v4()) return;
    UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    sockaddr_storage any{};
    const socklen_t size = Endpoint{Address(), options_.announce_port}.to_sockaddr(any);
    if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), size) != 0)
        return;
    announcements_ = std::move(fd);
    announcement_watch_ = loop_.on_readable(announcements_.get(), [this] { read_announcements(); });
}

void PortMapper::read_answers() {
    std::array<uint8_t, kMostAnswer> buffer;
    for (int i = 0; i < kMostRead; ++i) {
        const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == ECONNREFUSED)
            mapping_->unreachable();
        else if (size < 0)
            break;
        else
            mapping_->received({buffer.data(), static_cast<size_t>(size)}, clock_.since_boot());
    }
    settle();
}

void PortMapper::read_announcements() {
    std::array<uint8_t, kMostAnswer> buffer;
    for (int i = 0; i < kMostRead; ++i) {
        sockaddr_storage from{};
        socklen_t from_size = sizeof from;
        const ssize_t size = recvfrom(announcements_.get(), buffer.data(), buffer.size(), 0,
                                      reinterpret_cast<sockaddr*>(&from), &from_size);
        if (size < 0) break;
        const auto source =
            Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&from), from_size);
        if (source == Endpoint{options_.gateway, options_.server_port})
            mapping_->announced({buffer.data(), static_cast<size_t>(size)}, clock_.since_boot());
    }
    settle();
}

void PortMapper::look() {
    if (is_released_) return;
    mapping_->tick(clock_.since_boot());
    settle();
}

MappedPort PortMapper::current() const {
    if (upnp_ && !mapping_->external())
        return {MappingStatus::Mapped, MappingProtocol::Upnp, upnp_->external, {}};
    return {mapping_->status(), mapping_->protocol(), mapping_->external(), mapping_->why()};
}

void PortMapper::settle() {
    for (const Bytes& packet : mapping_->take_packets()) {
        const auto is_refused = [&] {
            return send(socket_.get(), packet.data(), packet.size(), 0) < 0 &&
                   errno == ECONNREFUSED;
        };
        // That is what an earlier packet met; this one has not been sent.
        if (!is_refused()) continue;
        mapping_->unreachable();
        (void)is_refused();
    }
    look_at_upnp();
    auto at = mapping_->deadline();
    if (wants_upnp() && upnp_at_ && (!at || *upnp_at_ < *at)) at = upnp_at_;
    timer_ = {};
    if (at)
        timer_ = loop_.after(std::max(*at - clock_.since_boot(), std::chrono::milliseconds(0)),
                             [this] { look(); });
    const MappedPort now = current();
    if (now == told_) return;
    told_ = now;
    // A copy: the callee may destroy this.
    loop_.post([alive = std::weak_ptr(alive_), tell = changed_, now] {
        if (tell && alive.lock()) tell(now);
    });
}

// Where PCP or NAT-PMP maps, UPnP is not wanted: they are asked on, and one mapping is enough.
bool PortMapper::wants_upnp() const {
    const MappingStatus status = mapping_->status();
    return options_.upnp_on && options_.gateway.is_v4() && !is_released_ && !is_upnp_asked_ &&
           (status == MappingStatus::Absent || status == MappingStatus::Refused);
}

void PortMapper::look_at_upnp() {
    if (upnp_ && (is_released_ || mapping_->external())) drop_upnp();
    if (!wants_upnp() || (upnp_at_ && clock_.since_boot() < *upnp_at_)) return;
    UpnpRequest request{.gateway = options_.gateway,
                        .own = own_,
                        .port = options_.port,
                        .suggested_port = upnp_ ? upnp_->external.port : options_.port,
                        .lifetime = kUpnpLifetime};
    // The task has copies of all it needs: the mapper may be gone before it ends.
    auto task = [this, request, map = options_.upnp_map, &loop = loop_,
                 alive = std::weak_ptr(alive_)] {
        loop.post([this, alive, mapping = map(request)] {
            if (alive.lock()) upnp_answered(mapping);
        });
    };
    is_upnp_asked_ = options_.upnp_on->run(std::move(task));
    upnp_at_ = clock_.since_boot() + kFirstUpnpPause;
}

void PortMapper::upnp_answered(const Result<UpnpMapping>& mapping) {
    is_upnp_asked_ = false;
    const BootTime now = clock_.since_boot();
    if (mapping) {
        upnp_ = *mapping;
        upnp_failures_ = 0;
        upnp_at_ = now + kUpnpLifetime / 2;
        upnp_until_ = now + kUpnpLifetime;
    } else {
        if (now >= upnp_until_) upnp_.reset();
        const auto pause = kFirstUpnpPause * (1 << std::min(upnp_failures_++, 6));
        upnp_at_ = now + std::min(pause, kMostUpnpPause);
    }
    settle();
}

void PortMapper::drop_upnp() {
    (void)options_.upnp_on->run([unmap = options_.upnp_unmap, mapping = *upnp_] {
        (void)unmap(mapping);  // what stays runs out
    });
    upnp_.reset();
    upnp_at_.reset();
}

void PortMapper::release() {
    is_released_ = true;
    mapping_->release();
    settle();
}

}  // namespace cvlan::reach
