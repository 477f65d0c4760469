// SPDX-License-Identifier: Apache-2.0
#include "netlink/link.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/xfrmi.h>

#include "netlink/libnl.h"

namespace cvlan::netlink {

namespace {

using RtnlLink = Libnl<rtnl_link, rtnl_link_put>;

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

Result<void> set_up(rtnl_link* link, const LinkChange& change) {
    if (change.name) rtnl_link_set_name(link, change.name->c_str());
    if (change.mtu) rtnl_link_set_mtu(link, *change.mtu);
    if (change.master) rtnl_link_set_master(link, static_cast<int>(*change.master));
    if (change.netns != nullptr) rtnl_link_set_ns_fd(link, change.netns->fd());
    if (change.up && *change.up) rtnl_link_set_flags(link, IFF_UP);
    if (change.up && !*change.up) rtnl_link_unset_flags(link, IFF_UP);
    if (change.name && change.name->size() >= IFNAMSIZ)
        return fail(Code::Invalid, "name of {} bytes is too long", change.name->size());
    return {};
}

// By hand: libnl sends what is of the kind only where it knows the link's kind before.
void put_xfrm(Message& message, const Xfrm& xfrm) {
    message.nest(IFLA_LINKINFO, [&](Message& nest) {
        nest.put_string(IFLA_INFO_KIND, "xfrm");
        nest.nest(IFLA_INFO_DATA, [&](Message& attributes) {
            attributes.put(IFLA_XFRM_IF_ID, xfrm.if_id);
            if (xfrm.underlying != 0) attributes.put(IFLA_XFRM_LINK, xfrm.underlying);
        });
    });
}

std::optional<Xfrm> xfrm_of(rtnl_link* link) {
    if (rtnl_link_is_xfrmi(link) == 0) return std::nullopt;
    Xfrm xfrm;
    // They say nothing of what the kernel did not.
    (void)rtnl_link_xfrmi_get_if_id(link, &xfrm.if_id);
    (void)rtnl_link_xfrmi_get_link(link, &xfrm.underlying);
    return xfrm;
}

}  // namespace

Result<Link> parse_link(const Reply& reply) {
    auto parsed = parse_object(reply);
    if (!parsed) return failed(parsed.error());
    if (!*parsed) return fail(Code::Malformed, "not a link");
    auto* object = reinterpret_cast<rtnl_link*>(parsed->get());
    Link link;
    link.index = rtnl_link_get_ifindex(object);
    link.name = text_or_empty(rtnl_link_get_name(object));
    link.kind = text_or_empty(rtnl_link_get_type(object));
    link.alias = text_or_empty(rtnl_link_get_ifalias(object));
    link.mtu = rtnl_link_get_mtu(object);
    link.master = static_cast<uint32_t>(rtnl_link_get_master(object));
    link.up = (rtnl_link_get_flags(object) & IFF_UP) != 0;
    link.xfrm = xfrm_of(object);
    return link;
}

Result<std::vector<Link>> list_links(Socket& socket, std::string_view kind) {
    // By hand: libnl's own dump request can neither filter nor leave out the statistics.
    Message message(RTM_GETLINK, 0);
    message.put_header(ifinfomsg{});
    message.put(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
    if (!kind.empty())
        message.nest(IFLA_LINKINFO, [&](Message& nest) { nest.put_string(IFLA_INFO_KIND, kind); });

    std::vector<Link> links;
    auto done = socket.dump(
        message, [&] { links.clear(); },
        [&](const Reply& reply) -> Result<void> {
            auto link = parse_link(reply);
            if (!link) return failed(link.error());
            // A kind whose module is not loaded does not filter.
            if (kind.empty() || link->kind == kind) links.push_back(std::move(*link));
            return {};
        });
    if (!done) return failed(done.error().while_doing("list links"));
    return links;
}

Result<Link> find_link(Socket& socket, std::string_view name) {
    const std::string doing = fmt::format("link {}", name);
    if (name.empty() || name.size() >= IFNAMSIZ)
        return fail(Code::Invalid, "{}: not a name of a link", doing);
    auto message = build_request([&](nl_msg** built) {
        return rtnl_link_build_get_request(0, std::string(name).c_str(), built);
    });
    if (!message) return failed(message.error().while_doing(doing));
    Link link;
    auto done = socket.request(*message, [&](const Reply& reply) -> Result<void> {
        auto parsed = parse_link(reply);
        if (!parsed) return failed(parsed.error());
        link = std::move(*parsed);
        return {};
    });
    if (!done) return failed(done.error().while_doing(doing));
    return link;
}

Result<void> add_link(Socket& socket, const NewLink& link) {
    const std::string doing = fmt::format("add link {} of kind {}", link.name, link.kind);
    if (link.name.empty() || link.name.size() >= IFNAMSIZ)
        return fail(Code::Invalid, "{}: not a name of a link", doing);
    const RtnlLink object(rtnl_link_alloc());
    rtnl_link_set_name(object.get(), link.name.c_str());
    rtnl_link_set_type(object.get(), link.kind.c_str());
    if (link.mtu) rtnl_link_set_mtu(object.get(), *link.mtu);
    if (link.xfrm) {
        // libnl ends the program of who gives an if_id to another kind.
        if (rtnl_link_is_xfrmi(object.get()) == 0)
            return fail(Code::Invalid, "{}: an if_id is for links of kind xfrm", doing);
        rtnl_link_xfrmi_set_if_id(object.get(), link.xfrm->if_id);
        if (link.xfrm->underlying != 0)
            rtnl_link_xfrmi_set_link(object.get(), link.xfrm->underlying);
    }
    auto message = build_request([&](nl_msg** built) {
        return rtnl_link_build_add_request(object.get(), NLM_F_CREATE | NLM_F_EXCL, built);
    });
    if (!message) return failed(message.error().while_doing(doing));
    auto done = socket.request(*message);
    if (!done) return failed(done.error().while_doing(doing));
    if (!link.alias) return {};

    // net/core/rtnetlink.c: rtnl_create_link() passes over IFLA_IFALIAS, so it is a second request.
    // A link that can not be marked as ours must not stay.
    auto made = find_link(socket, link.name);
    Result<void> marked = made ? change_link(socket, made->index, {.alias = link.alias})
                               : Result<void>(failed(made.error()));
    if (marked) return {};
    if (made) (void)remove_link(socket, made->index);
    return failed(marked.error().while_doing(doing));
}

Result<void> change_link(Socket& socket, int index, const LinkChange& change) {
    const std::string doing = fmt::format("change link {}", index);
    const RtnlLink original(rtnl_link_alloc());
    const RtnlLink changes(rtnl_link_alloc());
    rtnl_link_set_ifindex(original.get(), index);
    auto set = set_up(changes.get(), change);
    if (!set) return failed(set.error().while_doing(doing));
    auto message = build_request([&](nl_msg** built) {
        return rtnl_link_build_change_request(original.get(), changes.get(), 0, built);
    });
    if (!message) return failed(message.error().while_doing(doing));
    // libnl 3.7 reads IFLA_IFALIAS but never sends it.
    if (change.alias) message->put_string(IFLA_IFALIAS, *change.alias);
    if (change.xfrm) put_xfrm(*message, *change.xfrm);
    auto done = socket.request(*message);
    if (!done) return failed(done.error().while_doing(doing));
    return {};
}

Result<void> remove_link(Socket& socket, int index) {
    const RtnlLink object(rtnl_link_alloc());
    rtnl_link_set_ifindex(object.get(), index);
    auto message = build_request(
        [&](nl_msg** built) { return rtnl_link_build_delete_request(object.get(), built); });
    auto done = message ? socket.request(*message) : Result<void>(failed(message.error()));
    if (!done) return failed(done.error().while_doing(fmt::format("remove link {}", index)));
    return {};
}

}  // namespace cvlan::netlink
