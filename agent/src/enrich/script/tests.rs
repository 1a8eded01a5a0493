use proptest::prelude::*;

use super::*;

/// Program, command line split at blanks, expected name.
#[rustfmt::skip]
const ROWS: &[(&str, &str, Option<&str>)] = &[
    // Python
    ("python3.11", "python3 /srv/shop/cart.py --token s3cret", Some("cart")),
    ("python3.11", "/usr/bin/python3.11 -u -X dev cart.py", Some("cart")),
    ("python3.11", "python3 -Xfrozen_modules=off -Wignore cart.py", Some("cart")),
    ("python3.11", "python3 -m http.server 8000", Some("http.server")),
    ("python3.11", "python3 -um shop.worker", Some("shop.worker")),
    ("python3.11", "python3 -c import(secret)", None),
    ("python3.11", "python3 -Ic code", None),
    ("python3.11", "python3", None),
    ("python3.11", "python3 /srv/shop/manage.py runserver", Some("shop")),
    ("python3.11", "python3 /usr/bin/gunicorn -w 4 -b 0.0.0.0:8000 shop.wsgi:application", Some("shop")),
    ("python3.11", "python3 /usr/bin/gunicorn --preload shop.api:create_app()", Some("shop.api")),
    ("python3.11", "python3 /usr/bin/uvicorn main:app --host 0.0.0.0", Some("main")),
    ("python3.11", "python3 -m uvicorn --reload cart.main:app", Some("cart")),
    ("python3.11", "python3 /usr/bin/gunicorn --auth user:password", Some("gunicorn")),
    ("python3.11", "python3 /usr/bin/celery -A shop.app worker", Some("shop")),
    ("python3.11", "python3 /usr/bin/flask --app=cart run", Some("cart")),
    ("pypy3", "pypy3 cart.py", Some("cart")),
    // Java
    ("java", "java -Xmx1g -jar /srv/shop-1.2.3-SNAPSHOT.jar --spring.password=x", Some("shop")),
    ("java", "java -jar order-service-2.0.jar", Some("order-service")),
    ("java", "java -jar shop-1.2.RELEASE.war", Some("shop")),
    ("java", "java -jar app.jar", Some("app")),
    ("java", "java -jar sign-2fa.jar", Some("sign-2fa")),
    ("java", "java -cp /a.jar:/b.jar -Dpassword=x kafka.Kafka server.properties", Some("Kafka")),
    ("java", "java --add-opens java.base/java.lang=ALL-UNNAMED com.example.Shop", Some("Shop")),
    ("java", "java -p mods -m com.example/com.example.Shop", Some("Shop")),
    ("java", "java -version", None),
    ("java", "java -jar", None),
    // Node and its kin
    ("node", "node /srv/shop/worker.js", Some("worker")),
    ("node", "node --max-old-space-size=4096 -r dotenv/config /srv/shop/dist/index.js", Some("shop")),
    ("node", "node /app/server.js", Some("server")),
    ("node", "node /srv/app/node_modules/.bin/next start", Some("next")),
    ("node", "node -e code", None),
    ("nodejs", "nodejs server.js", Some("cart")),
    ("bun", "bun run worker.ts", Some("worker")),
    // Others
    ("ruby3.1", "ruby -I lib /usr/local/bin/puma -C puma.rb", Some("puma")),
    ("ruby3.1", "ruby -e code", None),
    ("php8.2", "php -S 0.0.0.0:8000 router.php", Some("router")),
    ("php8.2", "php artisan serve", Some("cart")),
    ("perl", "/usr/bin/perl -w /usr/bin/ack secret", Some("ack")),
    ("dash", "/bin/sh /opt/backup.sh", Some("backup")),
    ("bash", "bash -o pipefail /opt/backup.sh", Some("backup")),
    ("bash", "bash -ec command", None),
    ("bash", "bash /proc/self/fd/3", None),
    ("dash", "sh /dev/stdin", None),
    ("bash", "-bash", None),
    // The record of a script that is gone names the script, argv its interpreter.
    ("cart.py", "/usr/bin/python3 /srv/cart.py", Some("cart")),
    // Programs that aren't interpreters, and titles instead of arguments.
    ("nginx", "nginx: master process /usr/sbin/nginx", None),
    ("python3.11", "gunicorn:", None),
    ("php-fpm8.2", "php-fpm: pool www", None),
];

#[test]
fn what_an_interpreter_runs_gives_the_name() {
    for (executable, line, expected) in ROWS {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let name = name(Some(executable), &args, Some(Path::new("/srv/cart")));
        assert_eq!(name.as_deref(), *expected, "{line}");
    }
}

#[test]
fn a_generic_name_stands_where_no_directory_says_more() {
    let args = ["node".to_owned(), "index.js".to_owned()];
    assert_eq!(name(Some("node"), &args, None).as_deref(), Some("index"));
}

proptest! {
    /// Whatever stands behind the script, or is a value of an option, never becomes a name.
    #[test]
    fn what_follows_the_script_is_never_a_name(
        secret in "[a-z:/=.]{1,30}",
        program in prop::sample::select(vec!["python3", "node", "ruby", "php", "perl", "bash", "java"]),
    ) {
        let args: Vec<String> = [program, "cart", &secret].map(str::to_owned).into();
        let found = name(Some(program), &args, None);
        prop_assert_eq!(found.as_deref(), Some("cart"));
    }

    #[test]
    fn any_command_line_is_read_without_panic(
        program in prop::sample::select(vec!["python3", "node", "ruby", "php", "perl", "bash", "java"]),
        args in prop::collection::vec("(-[a-zA-Z]{0,4}|--[a-z-]{0,12}|\\PC{0,12}|[a-z.:/-]{0,20})", 0..8),
    ) {
        let args: Vec<String> = std::iter::once(program.to_owned()).chain(args).collect();
        let _ = name(Some(program), &args, None);
    }
}
