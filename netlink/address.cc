// SPDX-License-Identifier: Apache-2.0
#include "netlink/address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>

#include <cerrno>

#include "netlink/libnl.h"

namespace cvlan::netlink {

namespace {

using RtnlAddr = Libnl<rtnl_addr, rtnl_addr_put>;

RtnlAddr object_of(const InterfaceAddress& address) {
    RtnlAddr object(rtnl_addr_alloc());
    const NlAddr local = to_libnl(address.address, address.prefix_length);
    rtnl_addr_set_ifindex(object.get(), address.ifindex);
    rtnl_addr_set_family(object.get(), address.address.af());
    rtnl_addr_set_local(object.get(), local.get());
    if (!address.address.is_v4()) rtnl_addr_set_flags(object.get(), IFA_F_NODAD);
    return object;
}

std::string doing(std::string_view verb, const InterfaceAddress& address) {
    return fmt::format("{} address {}/{} of link {}", verb, address.address.text(),
                       address.prefix_length, address.ifindex);
}

// Other families (MCTP, phonet) keep addresses too.
bool is_ip(const Reply& reply) {
    if (reply.type != RTM_NEWADDR || reply.payload.size() < sizeof(ifaddrmsg)) return false;
    const uint8_t family = reply.payload[offsetof(ifaddrmsg, ifa_family)];
    return family == AF_INET || family == AF_INET6;
}

}  // namespace

Result<InterfaceAddress> parse_address(const Reply& reply) {
    if (!is_ip(reply)) return fail(Code::Malformed, "not an IP address");
    auto parsed = parse_object(reply);
    if (!parsed) return failed(parsed.error());
    if (!*parsed) return fail(Code::Malformed, "not an address");
    auto* object = reinterpret_cast<rtnl_addr*>(parsed->get());
    const auto local = from_libnl(rtnl_addr_get_local(object));
    if (!local) return fail(Code::Malformed, "address message without an address");
    InterfaceAddress address;
    address.ifindex = rtnl_addr_get_ifindex(object);
    address.address = *local;
    address.prefix_length = static_cast<uint8_t>(rtnl_addr_get_prefixlen(object));
    constexpr unsigned kUnsettled = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
    address.is_settled = (rtnl_addr_get_flags(object) & kUnsettled) == 0;
    return address;
}

Result<std::vector<InterfaceAddress>> list_addresses(Socket& socket, int ifindex) {
    Message message(RTM_GETADDR, 0);
    ifaddrmsg head{};
    head.ifa_index = static_cast<uint32_t>(ifindex);
    message.put_header(head);
    std::vector<InterfaceAddress> addresses;
    auto done = socket.dump(
        message, [&] { addresses.clear(); },
        [&](const Reply& reply) -> Result<void> {
            if (!is_ip(reply)) return {};
            auto address = parse_address(reply);
            if (!address) return failed(address.error());
            // A kernel without strict checks does not filter.
            if (ifindex == 0 || address->ifindex == ifindex) addresses.push_back(*address);
            return {};
        });
    if (!done) return failed(done.error().while_doing("list addresses"));
    return addresses;
}

Result<void> add_address(Socket& socket, const InterfaceAddress& address) {
    const RtnlAddr object = object_of(address);
    auto message = build_request([&](nl_msg** built) {
        return rtnl_addr_build_add_request(object.get(), NLM_F_CREATE | NLM_F_EXCL, built);
    });
    auto done = message ? socket.request(*message) : Result<void>(failed(message.error()));
    if (!done) return failed(done.error().while_doing(doing("add", address)));
    return {};
}

Result<void> remove_address(Socket& socket, const InterfaceAddress& address) {
    const RtnlAddr object = object_of(address);
    auto message = build_request(
        [&](nl_msg** built) { return rtnl_addr_build_delete_request(object.get(), 0, built); });
    auto done = message ? socket.request(*message) : Result<void>(failed(message.error()));
    if (done) return {};
    Error error = done.error().while_doing(doing("remove", address));
    if (error.sys_errno == EADDRNOTAVAIL) error.code = Code::NotFound;
    return failed(std::move(error));
}

}  // namespace cvlan::netlink
