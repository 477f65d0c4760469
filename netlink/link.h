// SPDX-License-Identifier: Apache-2.0
#pragma once

// Network interfaces (rtnetlink RTM_*LINK) of the namespace of the Socket given. Missing links are
// Code::NotFound, names that are taken Code::Exists.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netlink/socket.h"

namespace cvlan::netlink {

// What an xfrm interface has: packets that leave by it meet only states and policies with its
// if_id. They are those of the namespace in which it was made, wherever it is moved later. `if_id`
// 0 is one that serves all numbers by metadata (collect_md): never ours.
struct Xfrm {
    uint32_t if_id = 0;
    uint32_t underlying = 0;  // ifindex where it was made; 0 for none
    bool operator==(const Xfrm&) const = default;
};

// A link as it is. `kind` is "wireguard", "veth", …, and empty for hardware.
struct Link {
    int index = 0;
    std::string name;
    std::string kind;
    std::string alias;
    uint32_t mtu = 0;
    uint32_t master = 0;         // ifindex of the bridge or VRF it is part of, 0 for none
    bool up = false;             // IFF_UP: what was asked for, not the carrier
    std::optional<Xfrm> xfrm{};  // of kind "xfrm"
    bool operator==(const Link&) const = default;
};

struct NewLink {
    std::string name;
    std::string kind;
    std::optional<std::string> alias{};
    std::optional<uint32_t> mtu{};
    std::optional<Xfrm> xfrm{};  // of kind "xfrm", which can not be made without
};

// What to change: an absent field is left alone.
struct LinkChange {
    std::optional<std::string> name{};   // the kernel renames only what is down, before 6.2
    std::optional<std::string> alias{};  // at most 255 bytes
    std::optional<uint32_t> mtu{};
    std::optional<uint32_t> master{};  // 0 releases it
    std::optional<bool> up{};
    std::optional<Xfrm> xfrm{};      // of kind "xfrm"; addresses and routes stay
    const NetnsFd* netns = nullptr;  // moves it there; it comes out down and without addresses
};

// All links, or those of one kind.
Result<std::vector<Link>> list_links(Socket& socket, std::string_view kind = {});
Result<Link> find_link(Socket& socket, std::string_view name);
Result<void> add_link(Socket& socket, const NewLink& link);
Result<void> change_link(Socket& socket, int index, const LinkChange& change);
Result<void> remove_link(Socket& socket, int index);

// One RTM_NEWLINK as a monitor or a dump brings it.
Result<Link> parse_link(const Reply& reply);

}  // namespace cvlan::netlink
