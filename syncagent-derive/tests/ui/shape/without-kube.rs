use syncagent::Publish;

#[derive(Publish)]
pub struct CacheSpec {
    pub size: String,
}

fn main() {}
