// SPDX-License-Identifier: Apache-2.0
#pragma once

// Generic netlink families (linux/genetlink.h): the kernel numbers them as their modules load, so
// each is looked up by name once a socket, and again when the kernel answers its number with ENOENT
// (kernel-wg/client.cc). A family that does not exist is Code::Unsupported, with words for whoever
// has to load a module.

#include <cstdint>
#include <string_view>

#include "netlink/message.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

class GenericFamily {
public:
    // Asking makes the kernel load the module, if it may.
    static Result<GenericFamily> find(Socket& socket, std::string_view name);

    // A request of this family: netlink and genl header in place, attributes to follow.
    Message message(uint8_t command, uint16_t flags) const;
    uint16_t id() const { return id_; }
    uint8_t version() const { return version_; }

private:
    GenericFamily(uint16_t id, uint8_t version) : id_(id), version_(version) {}
    uint16_t id_;
    uint8_t version_;
};

}  // namespace cvlan::netlink
