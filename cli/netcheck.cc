// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace local = model::local;

static std::string yes_or_no(bool is_so) { return is_so ? "yes" : "no"; }

static std::string family(bool answers, const std::optional<std::string>& seen_as) {
    return yes_or_no(answers) + (seen_as ? ", seen as " + *seen_as : "");
}

static std::string mapping(const local::NetcheckReport& report) {
    switch (report.mapping) {
        case local::Mapping::Unknown:
            return "not known";
        case local::Mapping::None:
            return "none: no NAT in between";
        case local::Mapping::Independent:
            return "does not vary by destination";
        case local::Mapping::Dependent:
            return "varies by destination";
    }
    return "";
}

static std::string port_mapping(const local::NetcheckReport& report) {
    std::vector<std::string> names;
    for (const local::PortMapper mapper : report.port_mappers) names.emplace_back(text(mapper));
    if (report.port_mapping == local::PortMapping::NotAsked) return "not asked for";
    if (report.port_mapping == local::PortMapping::Asking) return "no answer yet";
    if (names.empty()) return "no answer";
    if (report.port_mapping == local::PortMapping::Refused) return join(names) + ", refused";
    return join(names) + (report.mapped_endpoint ? ", " + *report.mapped_endpoint : "");
}

static std::string milliseconds(const std::optional<int64_t>& time) {
    return time ? fmt::format("{} ms", *time) : "-";
}

static void print_report(Io& io, const local::NetcheckReport& report) {
    const std::string by = report.nat64 ? ", by the NAT64 of " + *report.nat64 : "";
    print_fields(io, {{"UDP", yes_or_no(report.udp)},
                      {"IPv4", family(report.ipv4, report.ipv4_endpoint) + by},
                      {"IPv6", family(report.ipv6, report.ipv6_endpoint)},
                      {"mapping", mapping(report)},
                      {"port mapping", port_mapping(report)},
                      {"MTU", report.mtu ? std::to_string(*report.mtu) : "not known"},
                      {"captive portal", report.captive_portal ? yes_or_no(*report.captive_portal)
                                                               : std::string("not known")}});
    if (report.relays.empty()) {
        io.out << "\nno relays\n";
        return;
    }
    std::vector<Row> rows;
    for (const local::NetcheckRelay& relay : report.relays)
        rows.push_back({relay.name, relay.region.value_or("-"), milliseconds(relay.udp_ms),
                        milliseconds(relay.tls_ms), yes_or_no(relay.home)});
    io.out << '\n';
    print_table(io, {"RELAY", "REGION", "UDP", "TLS", "HOME"}, rows);
}

int netcheck(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto report = agent->netcheck();
    if (!report) return fail(io, report.error());
    if (args.output == Output::Name) {
        for (const local::NetcheckRelay& relay : report->relays)
            print_table(io, {}, {{relay.name}});
    } else if (!print_document(args, io, encode(*report))) {
        print_report(io, *report);
    }
    return kOk;
}

}  // namespace cvlan::cli
