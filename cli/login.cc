// SPDX-License-Identifier: Apache-2.0
// login, whoami, passwords, and the contexts that logins are kept in.
#include <termios.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

namespace {

constexpr size_t kMaxLink = 1024;

// While it lives, what is typed on the terminal is not shown.
class Unseen {
public:
    explicit Unseen(const Io& io)
        : is_on_(io.in_is_terminal && tcgetattr(STDIN_FILENO, &was_) == 0) {
        if (!is_on_) return;
        termios quiet = was_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        is_on_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;
    ~Unseen() {
        if (is_on_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &was_);
    }

private:
    termios was_{};
    bool is_on_;
};

// From a terminal, or a line of standard input; never from the command line, which others see.
std::string ask(Io& io, std::string_view prompt) {
    if (io.in_is_terminal) io.err << prompt << ": " << std::flush;
    std::string line;
    std::getline(io.in, line);
    return line;
}

SecretText ask_secret(Io& io, std::string_view prompt) {
    const Unseen unseen(io);
    SecretText secret(ask(io, prompt));
    if (io.in_is_terminal) io.err << '\n';
    return secret;
}

// On a terminal twice: nobody sees what is typed.
Result<SecretText> ask_new_password(Io& io) {
    SecretText password = ask_secret(io, "New password (12 characters or more)");
    if (!io.in_is_terminal) return password;
    const SecretText again = ask_secret(io, "The new password again");
    if (again.reveal() == password.reveal()) return password;
    return cvlan::fail(Code::Invalid, "the two passwords differ");
}

std::string this_machine() {
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0) return "cvlanctl";
    return fmt::format("cvlanctl on {}", name);
}

// A password for an access token: the session in between ends here.
Result<wire::AccessTokenCreated> log_in(client::Controller& controller, const Args& args, Io& io) {
    wire::Login wanted;
    if (!args.tenant.empty()) wanted.tenant = args.tenant;
    wanted.email = args.email.empty() ? ask(io, "E-mail") : args.email;
    const SecretText password = ask_secret(io, "Password");
    wanted.password = password.reveal();
    auto session = controller.login(wanted);
    if (!session) return failed(session.error());
    auto token =
        controller.create_access_token({.name = this_machine(),
                                        .expires_in = fmt::format("{}s", args.expires.count()),
                                        .service_account_id = {}});
    if (!token) return token;
    if (auto ended = controller.logout(); !ended) return failed(ended.error());
    return token;
}

// Ends the token of a context, at the context's own controller, whatever else this call was given.
Result<void> end_token(const Context& context) {
    auto transport = client::Transport::open({.server = context.server,
                                              .ca_file = context.ca,
                                              .token = SecretText(context.token.reveal())});
    if (!transport) return failed(transport.error());
    auto ended = client::Controller(std::move(*transport)).logout();
    // One that is not good any more needs no end.
    if (ended || ended.error().code == Code::Denied) return {};
    return ended;
}

void tell_not_ended(Io& io, const Error& error) {
    io.err << "cvlanctl: the former token is good until it expires: " << printable(error.message)
           << '\n';
}

}  // namespace

void login_options(CLI::App& app, Args& args) {
    app.add_option("--email", args.email, "who logs in; asked for otherwise");
    add_duration(app, "--expires", args.expires, "for how long the login is good, default 24h");
}

int login(const Args& args, Io& io) {
    Context context{args.context.empty() ? "default" : args.context, args.server, ""};
    // Later calls come from other folders.
    if (!args.ca.empty()) context.ca = std::filesystem::absolute(args.ca).string();
    const auto known = load_context(context.name);
    if (args.server.empty()) {
        if (!known) {
            io.err << "cvlanctl: --server says where to log in: https://HOST:PORT\n";
            return kUsage;
        }
        context.server = known->server;
        if (context.ca.empty()) context.ca = known->ca;
    }
    auto transport = client::Transport::open({.server = context.server, .ca_file = context.ca});
    if (!transport) return fail(io, transport.error());
    client::Controller controller(std::move(*transport));
    auto token = log_in(controller, args, io);
    if (!token) return fail(io, token.error());
    context.token = SecretText(std::move(token->token));
    auto kept = save_context(context);
    if (kept) kept = use_context(context.name);
    if (!kept) return fail(io, kept.error());
    if (known && !known->token.empty())
        if (auto ended = end_token(*known); !ended) tell_not_ended(io, ended.error());
    io.err << fmt::format("cvlanctl: logged in until {}, context {}\n",
                          time_text(token->record.expires_at), context.name);
    return kOk;
}

int whoami(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    auto me = session->controller.me();
    if (!me) return fail(io, me.error());
    return print_object(args, io, *me,
                        {{"Name", me->account ? me->account->name : me->actor},
                         {"Actor", me->actor},
                         {"Role", std::string(text(me->role))},
                         {"Tenant", me->tenant_id.value_or("- (above tenants)")}});
}

void password_set_options(CLI::App& app, Args& args) {
    app.add_option("--link-file", args.link_file,
                   "file with the one-time link; asked for otherwise");
    app.add_option("--email", args.email, "of the first operator, with the bootstrap's link");
}

// The link says where its controller is, unless --server does.
int password_set(const Args& args, Io& io) {
    SecretText link;
    if (args.link_file.empty()) {
        link = ask_secret(io, "Link");
    } else {
        auto text = read_secret_file(args.link_file, kMaxLink);
        if (!text) return fail(io, text.error());
        link = SecretText(text->substr(0, text->find('\n')));
    }
    const std::string& whole = link.reveal();
    const size_t mark = whole.find('#');
    const size_t path = whole.find("/accept#");
    const std::string server =
        args.server.empty() && path != std::string::npos ? whole.substr(0, path) : args.server;
    if (server.empty()) {
        io.err << "cvlanctl: that is no whole link; --server says where the controller is\n";
        return kUsage;
    }
    auto transport = client::Transport::open({.server = server, .ca_file = args.ca});
    if (!transport) return fail(io, transport.error());
    client::Controller controller(std::move(*transport));
    const auto password = ask_new_password(io);
    if (!password) return fail(io, password.error());
    wire::LinkUse use;
    use.secret = mark == std::string::npos ? whole : whole.substr(mark + 1);
    use.password = password->reveal();
    if (!args.email.empty()) use.email = args.email;
    auto account = controller.use_link(use);
    if (!account) return fail(io, account.error());
    return print_object(args, io, *account,
                        {{"Name", account->name}, {"Role", std::string(text(account->role))}});
}

int password_change(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    const SecretText password = ask_secret(io, "Present password");
    const auto wanted = ask_new_password(io);
    if (!wanted) return fail(io, wanted.error());
    wire::PasswordChange change;
    change.password = password.reveal();
    change.new_password = wanted->reveal();
    if (auto changed = session->controller.change_password(change); !changed)
        return fail(io, changed.error());
    io.err << "cvlanctl: the password was changed; sessions of browsers have ended\n";
    return kOk;
}

int context_list(const Args& args, Io& io) {
    auto names = context_names();
    if (!names) return fail(io, names.error());
    const std::string current = current_context();
    std::vector<Row> rows;
    for (const std::string& name : *names) {
        auto context = load_context(name);
        rows.push_back(
            {name, name == current ? "*" : "", context ? context->server : "unreadable"});
    }
    if (args.output == Output::Name) {
        for (const Row& row : rows) print_table(io, {}, {{row.front()}});
        return kOk;
    }
    print_table(io, {"NAME", "CURRENT", "SERVER"}, rows);
    return kOk;
}

int context_use(const Args& args, Io& io) {
    if (auto used = use_context(args.name); !used) return fail(io, used.error());
    return kOk;
}

// The token is ended where the controller can be reached; it is forgotten here in any case.
int context_delete(const Args& args, Io& io) {
    const auto context = load_context(args.name);
    if (!context) return fail(io, context.error());
    if (auto ended = end_token(*context); !ended) tell_not_ended(io, ended.error());
    if (auto gone = remove_context(args.name); !gone) return fail(io, gone.error());
    return kOk;
}

}  // namespace cvlan::cli
