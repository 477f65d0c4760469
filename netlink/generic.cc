// SPDX-License-Identifier: Apache-2.0
#include "netlink/generic.h"

#include <linux/genetlink.h>

#include <cerrno>

#include "netlink/attr_reader.h"

namespace cvlan::netlink {

namespace {

Message generic_message(uint16_t family, uint8_t command, uint8_t version) {
    Message message(family, 0);
    message.put_header(genlmsghdr{command, version, 0});
    return message;
}

struct Found {
    std::optional<uint16_t> id;
    uint32_t version = 0;
};

Result<void> parse_family(const Reply& reply, Found& found) {
    genlmsghdr head{};
    auto attrs = after_header(reply.payload, head);
    if (!attrs) return failed(attrs.error());
    while (attrs->next()) {
        switch (attrs->type()) {
            case CTRL_ATTR_FAMILY_ID:
                attrs->read(found.id);
                break;
            case CTRL_ATTR_VERSION:
                attrs->read(found.version);
                break;
        }
    }
    if (attrs->error()) return failed(*attrs->error());
    return {};
}

}  // namespace

Result<GenericFamily> GenericFamily::find(Socket& socket, std::string_view name) {
    Message message = generic_message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
    message.put_string(CTRL_ATTR_FAMILY_NAME, name);
    Found found;
    auto answered =
        socket.request(message, [&](const Reply& reply) { return parse_family(reply, found); });
    if (!answered && answered.error().sys_errno == ENOENT) {
        return failed(Error{Code::Unsupported,
                            fmt::format("kernel lacks {0}: its module {0} is not built, or may not "
                                        "be loaded here (try: modprobe {0})",
                                        name),
                            ENOENT});
    }
    if (!answered)
        return failed(answered.error().while_doing(fmt::format("netlink family {}", name)));
    if (!found.id || *found.id < GENL_MIN_ID)
        return fail(Code::Malformed, "netlink family {}: answer without an id", name);
    return GenericFamily(*found.id, static_cast<uint8_t>(found.version));
}

Message GenericFamily::message(uint8_t command, uint16_t flags) const {
    Message message = generic_message(id_, command, version_);
    message.add_flags(flags);
    return message;
}

}  // namespace cvlan::netlink
