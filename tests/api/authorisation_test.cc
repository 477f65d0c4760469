// SPDX-License-Identifier: Apache-2.0
// Asker may take which route: every route of the table against every kind of caller and, where it
// has an id, against an object of the caller's own, of a sibling, of another tenant, and one that
// is not there (security.md T4). The verdicts stand in support/authorisation_table.cc by hand; a
// route without a row, and a row without a route, fail.
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>

#include "tests/api/support/authorisation_table.h"
#include "tests/support/sources.h"

namespace cvlan::api {
namespace {

constexpr const char* kNames[] = {"anonymous over TLS",
                                  "the node",
                                  "a node of another tenant",
                                  "a certificate with a foreign id",
                                  "a MEMBER",
                                  "an AUDITOR",
                                  "an ADMIN",
                                  "an OWNER",
                                  "another tenant's ADMIN",
                                  "a reader on the socket",
                                  "an operator"};

std::string name_of(const Route& route) {
    return fmt::format("{} {}", route.method, route.pattern);
}

template <class Rows>
auto row_of(const Rows& rows, const Route& route) {
    const auto found = std::find_if(std::begin(rows), std::end(rows),
                                    [&](const auto& row) { return row.route == name_of(route); });
    return found == std::end(rows) ? nullptr : &*found;
}

bool has_id(const Route& route) { return route.pattern.find("{id}") != std::string_view::npos; }

std::string with_id(const Route& route, const std::string& id) {
    std::string path(route.pattern);
    return path.replace(path.find("{id}"), 4, id);
}

// What a request is, and what must come of it.
struct Trial {
    const Route& route;
    Asker who;
    int expected;
    std::string path;
    std::string body;
};

// Not a name, not an id that was not `asked` for.
void expect_nothing_told(const Trial& trial, const std::string& asked, const http::Response& answer,
                         const std::vector<std::string>& canaries) {
    std::string told = answer.body;
    for (const auto& chunk : answer.chunks) told += *chunk;
    for (const auto& header : answer.headers) told += header.value;
    for (const std::string& canary : canaries) {
        if (asked.find(canary) != std::string::npos) continue;
        EXPECT_EQ(told.find(canary), std::string::npos) << kNames[trial.who] << ": " << told;
    }
}

bool try_once(AuthorisationTest& test, const Trial& trial) {
    const auto caller = test.caller(trial.who);
    const int64_t before = test.changes();
    const auto answer =
        test.ask_as(caller, std::string(trial.route.method), trial.path, trial.body);
    EXPECT_EQ(answer.status, trial.expected)
        << kNames[trial.who] << " " << trial.path << ": " << answer.body;
    // The audit shows what its tenant's own ADMIN was refused before.
    test.asked_before[trial.who] += trial.path + trial.body;
    const bool is_audit = trial.path.starts_with("/api/v1/audit");
    const std::string asked = is_audit ? test.asked_before[trial.who] : trial.path + trial.body;
    const bool is_denied = trial.expected >= 400;
    if (is_denied) {
        EXPECT_EQ(test.changes(), before) << kNames[trial.who] << " changed something";
    }
    // Asker enrols, logs in or has a link holds a secret of the tenant's own.
    const bool is_stranger = (trial.who == OtherNode || trial.who == OtherAdmin) &&
                             !std::holds_alternative<PublicHandler>(trial.route.handler) &&
                             !std::holds_alternative<OnWorker>(trial.route.handler) &&
                             !std::holds_alternative<HeldPublicHandler>(trial.route.handler);
    if (is_denied || is_stranger) expect_nothing_told(trial, asked, answer, test.canaries());
    if (trial.who == Member) expect_nothing_told(trial, asked, answer, test.canaries_of_siblings());
    return !is_denied && trial.route.method != "GET";
}

int status_of(int verdict, int good) { return verdict == Ok ? good : verdict; }

void check_flat(AuthorisationTest& test, const Route& route) {
    const FlatRow* row = row_of(flat_rows(), route);
    ASSERT_TRUE(row) << "has no row of verdicts";
    for (int i = 0; i < kAskers; ++i) {
        const auto who = static_cast<Asker>(i);
        try_once(test, {route, who, status_of(row->verdicts[i], row->good),
                        std::string(route.pattern), row->body ? row->body(test) : ""});
    }
}

void check_by_id(AuthorisationTest& test, const Route& route) {
    const IdRow* row = row_of(id_rows(), route);
    ASSERT_TRUE(row) << "has no row of verdicts";
    const std::pair<const Line*, Text> targets[] = {{&row->verdicts.own, row->own},
                                                    {&row->verdicts.sibling, row->sibling},
                                                    {&row->verdicts.foreign, row->foreign},
                                                    {&row->verdicts.missing, missing}};
    for (const auto& [verdicts, make] : targets) {
        std::string id = make(test);
        for (int i = 0; i < kAskers; ++i) {
            const auto who = static_cast<Asker>(i);
            const bool is_spoiled = try_once(
                test, {route, who, status_of((*verdicts)[static_cast<size_t>(i)], row->good),
                       with_id(route, id), row->body ? row->body(test) : ""});
            if (is_spoiled) id = make(test);
        }
    }
}

TEST_F(AuthorisationTest, EachCallerGetsItsVerdictAndADeniedOneChangesAndLearnsNothing) {
    for (const Route& route : routes()) {
        SCOPED_TRACE(name_of(route));
        // A node's own routes spoil the nodes that call.
        if (std::exchange(are_spoiled, route.role == Role::Session && route.method != "GET"))
            make_nodes();
        if (has_id(route))
            check_by_id(*this, route);
        else
            check_flat(*this, route);
    }
}

// What another tenant's object is asked for under, is not there, even for who may do all.
TEST_F(AuthorisationTest, AnObjectIsNotFoundUnderAnotherTenantsName) {
    for (const Route& route : routes()) {
        const IdRow* row = row_of(id_rows(), route);
        const auto& takes = route.query;
        if (!row || std::find(takes.begin(), takes.end(), "tenant") == takes.end()) continue;
        SCOPED_TRACE(name_of(route));
        const std::string path = with_id(route, row->own(*this)) + "?tenant=" + other_tenant;
        const auto answer = ask_as(caller(Operator), std::string(route.method), path,
                                   row->body ? row->body(*this) : "");
        EXPECT_EQ(answer.status, 404) << answer.body;
    }
}

TEST_F(AuthorisationTest, ATenantThatIsNoIdIsRefused) {
    EXPECT_EQ(ask("GET", "/api/v1/nodes?tenant=acme").status, 400);
}

TEST_F(AuthorisationTest, WhoNamesAnotherTenantFindsNothingThere) {
    const std::string path = "/api/v1/nodes?tenant=";
    EXPECT_EQ(ask_as(caller(OtherAdmin), "GET", path + tenant).status, 404);
    EXPECT_EQ(ask_as(caller(Owner), "GET", path + other_tenant).status, 404);
    EXPECT_EQ(ask_as(caller(Owner), "GET", path + tenant).status, 200);
}

TEST(Authorisation, EveryRowIsARoute) {
    const auto is_route = [](std::string_view name) {
        return std::any_of(routes().begin(), routes().end(),
                           [&](const Route& route) { return name_of(route) == name; });
    };
    for (const FlatRow& row : flat_rows()) EXPECT_TRUE(is_route(row.route)) << row.route;
    for (const IdRow& row : id_rows()) EXPECT_TRUE(is_route(row.route)) << row.route;
}

TEST_F(ApiTest, RootAndTheControllersOwnUserMayWriteOthersOfTheSocketMayRead) {
    http::Request request;
    const auto may_write = [&](uid_t uid) {
        request.local = http::LocalPeer{uid, 0, 1};
        request.method = "POST";
        const auto who = std::get<AdminIdentity>(admins.admin(request));
        return !refuse_role(who, Needs::Operator, request);
    };
    EXPECT_TRUE(may_write(0));
    EXPECT_TRUE(may_write(getuid()));
    EXPECT_FALSE(may_write(getuid() + 1));
    request.local.reset();
    request.peer = *Endpoint::parse("127.0.0.1:1");  // an address proves nothing
    EXPECT_TRUE(std::holds_alternative<http::Response>(admins.admin(request)));
    EXPECT_TRUE(std::holds_alternative<http::Response>(admin_on_socket(request)));
}

// What the route table says too: query parameters by their names, and whether it needs If-Match.
using Parameters = std::set<std::string>;

// Of openapi.yaml; the file is ours, so its layout is known.
class Described {
public:
    Described() {
        std::ifstream file(test::source_file("api/openapi.yaml"));
        for (std::string line; std::getline(file, line);) lines_.push_back(line);
        read_shared();
        const auto end = std::find(lines_.begin(), lines_.end(), "components:");
        for (auto line = std::find(lines_.begin(), lines_.end(), "paths:"); line != end; ++line)
            read(*line);
    }
    const std::map<std::string, Parameters>& operations() const { return operations_; }

private:
    // "    name: {name: name, in: query, …}" under components/parameters.
    void read_shared() {
        auto line = std::find(lines_.begin(), lines_.end(), "components:");
        line = std::find(line, lines_.end(), "  parameters:");
        for (++line; line != lines_.end() && line->starts_with("    "); ++line)
            shared_[line->substr(4, line->find(':') - 4)] = counted(*line);
    }
    // Empty for what the table does not name.
    static std::string counted(const std::string& text) {
        const size_t at = text.find("{name: ") + 7;
        const std::string name = text.substr(at, text.find(',', at) - at);
        if (text.find("in: query") != std::string::npos) return name;
        return text.find("If-Match, in: header, required: true") != std::string::npos ? name : "";
    }
    static std::string method_of(const std::string& line) {
        for (std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
            std::string key = method;
            for (char& c : key) c = static_cast<char>(c - 'A' + 'a');
            if (line == "    " + key + ":") return method;
        }
        return "";
    }
    void read(const std::string& line) {
        if (line.starts_with("  /") && line.ends_with(":")) {
            path_ = line.substr(2, line.size() - 3);
            of_path_.clear();
            operation_ = nullptr;
        } else if (const std::string method = method_of(line); !method.empty()) {
            operation_ = &operations_.emplace(method + " " + path_, of_path_).first->second;
        } else {
            note_parameters(line, operation_ ? *operation_ : of_path_);
        }
    }
    void note_parameters(const std::string& line, Parameters& into) {
        constexpr std::string_view kShared = "#/components/parameters/";
        for (size_t at = line.find(kShared); at != std::string::npos; at = line.find(kShared, at)) {
            at += kShared.size();
            into.insert(shared_.at(line.substr(at, line.find('"', at) - at)));
        }
        if (line.starts_with("        - {name: ")) into.insert(counted(line));
        into.erase("");
    }

    std::vector<std::string> lines_;
    std::map<std::string, std::string> shared_;
    std::map<std::string, Parameters> operations_;
    std::string path_;
    Parameters of_path_;
    Parameters* operation_ = nullptr;
};

TEST(Authorisation, TheRoutesAreThoseThatOpenapiDescribesWithWhatTheyTake) {
    std::map<std::string, Parameters> served;
    for (const Route& route : routes()) {
        Parameters& takes = served[name_of(route)];
        for (const std::string_view name : route.query) takes.emplace(name);
        if (route.needs_match) takes.insert("If-Match");
    }
    EXPECT_EQ(served.size(), routes().size()) << "no route is there twice";
    const Described described;
    for (const auto& [operation, takes] : described.operations())
        EXPECT_EQ(served[operation], takes) << operation;
    EXPECT_EQ(served.size(), described.operations().size()) << "a route that is not described";
}

}  // namespace
}  // namespace cvlan::api
