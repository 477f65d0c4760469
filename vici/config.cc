// SPDX-License-Identifier: Apache-2.0
#include "vici/config.h"

namespace cvlan::vici {

namespace {

// Puts what is there, in charon's notation.
class Writer {
public:
    Writer& put(std::string_view name, const std::optional<std::string>& text) {
        if (text) message_.put(name, *text);
        return *this;
    }
    Writer& put(std::string_view name, const std::optional<bool>& is) {
        if (is) message_.put(name, *is ? "yes" : "no");
        return *this;
    }
    Writer& put(std::string_view name, const std::optional<Seconds>& span) {
        if (span) message_.put(name, std::to_string(span->count()));
        return *this;
    }
    template <class Number>
    requires std::is_unsigned_v<Number> Writer& put(std::string_view name,
                                                    const std::optional<Number>& number) {
        if (number) message_.put(name, std::to_string(*number));
        return *this;
    }
    Writer& put(std::string_view name, const Texts& texts) {
        if (!texts.empty()) message_.put_list(name, texts);
        return *this;
    }
    Writer& put(std::string_view name, Message section) {
        message_.put_section(name, std::move(section));
        return *this;
    }
    Message take() { return std::move(message_); }

private:
    Message message_;
};

Message of_auth(const Auth& auth, size_t round) {
    return Writer()
        .put("round", std::optional(static_cast<uint32_t>(round)))
        .put("auth", std::optional(auth.auth))
        .put("id", auth.id)
        .put("eap_id", auth.eap_id)
        .put("certs", auth.certs)
        .put("cacerts", auth.cacerts)
        .put("ca_id", auth.ca_id)
        .put("groups", auth.groups)
        .put("cert_policy", auth.cert_policy)
        .put("revocation", auth.revocation)
        .take();
}

Message of_child(const Child& child) {
    return Writer()
        .put("esp_proposals", child.esp_proposals)
        .put("local_ts", child.local_ts)
        .put("remote_ts", child.remote_ts)
        .put("mode", child.mode)
        .put("start_action", child.start_action)
        .put("close_action", child.close_action)
        .put("dpd_action", child.dpd_action)
        .put("policies", child.policies)
        .put("rekey_time", child.rekey_time)
        .put("life_time", child.life_time)
        .put("rand_time", child.rand_time)
        .put("rekey_bytes", child.rekey_bytes)
        .put("rekey_packets", child.rekey_packets)
        .put("inactivity", child.inactivity)
        .put("reqid", child.reqid)
        .put("priority", child.priority)
        .put("if_id_in", child.if_id_in)
        .put("if_id_out", child.if_id_out)
        .put("replay_window", child.replay_window)
        .put("hw_offload", child.hw_offload)
        .put("copy_df", child.copy_df)
        .take();
}

}  // namespace

Message to_message(const Connection& connection) {
    Writer writer;
    writer.put("version", std::optional<uint32_t>(2))
        .put("local_addrs", connection.local_addrs)
        .put("remote_addrs", connection.remote_addrs)
        .put("local_port", connection.local_port)
        .put("remote_port", connection.remote_port)
        .put("proposals", connection.proposals)
        .put("vips", connection.vips)
        .put("pools", connection.pools)
        .put("encap", connection.encap)
        .put("mobike", connection.mobike)
        .put("dpd_delay", connection.dpd_delay)
        .put("fragmentation", connection.fragmentation)
        .put("childless", connection.childless)
        .put("send_certreq", connection.send_certreq)
        .put("send_cert", connection.send_cert)
        .put("keyingtries", connection.keyingtries)
        .put("unique", connection.unique)
        .put("reauth_time", connection.reauth_time)
        .put("rekey_time", connection.rekey_time)
        .put("over_time", connection.over_time)
        .put("rand_time", connection.rand_time)
        .put("if_id_in", connection.if_id_in)
        .put("if_id_out", connection.if_id_out);
    // Their sections begin with local and remote, and differ in what follows.
    for (size_t i = 0; i < connection.local.size(); ++i)
        writer.put(fmt::format("local-{}", i), of_auth(connection.local[i], i));
    for (size_t i = 0; i < connection.remote.size(); ++i)
        writer.put(fmt::format("remote-{}", i), of_auth(connection.remote[i], i));
    Message children;
    for (const Child& child : connection.children)
        children.put_section(child.name, of_child(child));
    writer.put("children", std::move(children));
    Message message;
    message.put_section(connection.name, writer.take());
    return message;
}

Message to_message(const Authority& authority) {
    Message message;
    message.put_section(authority.name, Writer()
                                            .put("cacert", std::optional(authority.cacert))
                                            .put("crl_uris", authority.crl_uris)
                                            .put("ocsp_uris", authority.ocsp_uris)
                                            .take());
    return message;
}

Message to_message(const Pool& pool) {
    Message message;
    message.put_section(
        pool.name, Writer().put("addrs", std::optional(pool.addrs)).put("dns", pool.dns).take());
    return message;
}

Result<Message> to_message(const SharedSecret& secret) {
    if (secret.id.empty() || secret.owners.empty() || secret.data.empty())
        return fail(Code::Invalid, "a shared secret without its id, owners or bytes");
    for (const std::string& owner : secret.owners) {
        if (owner.empty() || owner == "%any")
            return fail(Code::Invalid, "the shared secret {} would be anybody's",
                        printable(secret.id));
    }
    Message message;
    message.put("id", secret.id)
        .put("type", secret.type)
        .put("data", secret.data.reveal())
        .put_list("owners", secret.owners);
    return message;
}

}  // namespace cvlan::vici
