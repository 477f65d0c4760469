// SPDX-License-Identifier: Apache-2.0
#include "vici/sa.h"

#include "vici/fields.h"

namespace cvlan::vici {

namespace {

Result<ChildSa> parse_child(std::string_view name, const Message& section) {
    ChildSa sa;
    sa.name = printable(name);
    Fields fields(section);
    fields.read("name", sa.name)
        .need("uniqueid")
        .read("uniqueid", sa.unique_id)
        .read("reqid", sa.reqid)
        .need("state")
        .read("state", sa.state)
        .read("mode", sa.mode)
        .read("protocol", sa.protocol)
        .read("encap", sa.encap)
        .read_hex("spi-in", sa.spi_in)
        .read_hex("spi-out", sa.spi_out)
        .read_hex("if-id-in", sa.if_id_in)
        .read_hex("if-id-out", sa.if_id_out)
        .read("encr-alg", sa.encr_alg)
        .read("encr-keysize", sa.encr_keysize)
        .read("integ-alg", sa.integ_alg)
        .read("dh-group", sa.dh_group)
        .read("esn", sa.esn)
        .read("bytes-in", sa.in.bytes)
        .read("packets-in", sa.in.packets)
        .read("use-in", sa.in.since_last)
        .read("bytes-out", sa.out.bytes)
        .read("packets-out", sa.out.packets)
        .read("use-out", sa.out.since_last)
        .read("rekey-time", sa.rekey_time)
        .read("life-time", sa.life_time)
        .read("install-time", sa.install_time)
        .read("local-ts", sa.local_ts)
        .read("remote-ts", sa.remote_ts);
    return fields.ended(std::move(sa), printable(name));
}

// But for its CHILD_SAs.
Result<IkeSa> parse_ike(std::string_view name, const Message& section) {
    IkeSa sa;
    sa.name = printable(name);
    Fields fields(section);
    fields.need("uniqueid")
        .read("uniqueid", sa.unique_id)
        .read("version", sa.version)
        .need("state")
        .read("state", sa.state)
        .read("local-host", sa.local_host)
        .read("local-port", sa.local_port)
        .read("local-id", sa.local_id)
        .read("remote-host", sa.remote_host)
        .read("remote-port", sa.remote_port)
        .read("remote-id", sa.remote_id)
        .read("remote-eap-id", sa.remote_eap_id)
        .read("initiator", sa.initiator)
        .read_hex("initiator-spi", sa.initiator_spi)
        .read_hex("responder-spi", sa.responder_spi)
        .read("nat-local", sa.nat_local)
        .read("nat-remote", sa.nat_remote)
        .read_hex("if-id-in", sa.if_id_in)
        .read_hex("if-id-out", sa.if_id_out)
        .read("encr-alg", sa.encr_alg)
        .read("encr-keysize", sa.encr_keysize)
        .read("integ-alg", sa.integ_alg)
        .read("prf-alg", sa.prf_alg)
        .read("dh-group", sa.dh_group)
        .read("established", sa.established)
        .read("rekey-time", sa.rekey_time)
        .read("reauth-time", sa.reauth_time)
        .read("local-vips", sa.local_vips)
        .read("remote-vips", sa.remote_vips);
    return fields.ended(std::move(sa), printable(name));
}

struct Named {
    std::string_view name{};
    const Message* section = nullptr;
};

// The only section of it.
Result<Named> only_section(const Message& message) {
    Named found;
    for (const Element& element : message.elements()) {
        const auto* section = std::get_if<Message>(&element.content);
        if (section == nullptr) continue;
        if (found.section != nullptr) return fail(Code::Malformed, "two SAs for one");
        found = {element.name, section};
    }
    if (found.section == nullptr) return fail(Code::Malformed, "no SA");
    return found;
}

Result<SaEvent> parse_updown(const Message& event, SaEventKind up, SaEventKind down) {
    bool is_up = false;
    SaEvent out;
    auto said = Fields(event).read("up", is_up).ended(is_up, "an event");
    if (!said) return failed(said.error());
    out.kind = *said ? up : down;
    auto ike = parse_ike_sa(event);
    if (!ike) return failed(ike.error());
    out.ike = std::move(*ike);
    if (up == SaEventKind::ChildUp && out.ike.child_sas.size() != 1)
        return fail(Code::Malformed, "{} CHILD_SAs for one", out.ike.child_sas.size());
    return out;
}

Result<SaEvent> parse_ike_rekey(const Message& event) {
    auto connection = only_section(event);
    if (!connection) return failed(connection.error());
    const Message* before = connection->section->section("old");
    const Message* after = connection->section->section("new");
    if (before == nullptr || after == nullptr) return fail(Code::Malformed, "no old, or no new SA");
    auto old_ike = parse_ike(connection->name, *before);
    auto new_ike = parse_ike(connection->name, *after);
    if (!old_ike) return failed(old_ike.error());
    if (!new_ike) return failed(new_ike.error());
    return SaEvent{SaEventKind::IkeRekey, std::move(*new_ike), std::move(*old_ike), {}};
}

Result<SaEvent> parse_child_rekey(const Message& event) {
    auto connection = only_section(event);
    if (!connection) return failed(connection.error());
    const Message* children = connection->section->section("child-sas");
    if (children == nullptr) return fail(Code::Malformed, "no child-sas");
    auto child = only_section(*children);
    if (!child) return failed(child.error());
    const Message* before = child->section->section("old");
    const Message* after = child->section->section("new");
    if (before == nullptr || after == nullptr) return fail(Code::Malformed, "no old, or no new SA");
    auto ike = parse_ike(connection->name, *connection->section);
    auto old_child = parse_child(child->name, *before);
    auto new_child = parse_child(child->name, *after);
    if (!ike) return failed(ike.error());
    if (!old_child) return failed(old_child.error());
    if (!new_child) return failed(new_child.error());
    ike->child_sas.push_back(std::move(*new_child));
    return SaEvent{SaEventKind::ChildRekey, std::move(*ike), {}, std::move(*old_child)};
}

}  // namespace

Result<IkeSa> parse_ike_sa(const Message& entry) {
    auto connection = only_section(entry);
    if (!connection) return failed(connection.error());
    auto ike = parse_ike(connection->name, *connection->section);
    if (!ike) return ike;
    const Message* children = connection->section->section("child-sas");
    if (children == nullptr) return ike;
    for (const Element& element : children->elements()) {
        const auto* section = std::get_if<Message>(&element.content);
        if (section == nullptr) return fail(Code::Malformed, "{}: no CHILD_SA", ike->name);
        auto child = parse_child(element.name, *section);
        if (!child) return failed(child.error().while_doing(ike->name));
        ike->child_sas.push_back(std::move(*child));
    }
    return ike;
}

Result<SaEvent> parse_sa_event(std::string_view name, const Message& event) {
    if (name == "ike-updown") return parse_updown(event, SaEventKind::IkeUp, SaEventKind::IkeDown);
    if (name == "child-updown")
        return parse_updown(event, SaEventKind::ChildUp, SaEventKind::ChildDown);
    if (name == "ike-rekey") return parse_ike_rekey(event);
    if (name == "child-rekey") return parse_child_rekey(event);
    return fail(Code::Unsupported, "no event of SAs: {}", printable(name));
}

}  // namespace cvlan::vici
