desc "Say how many books there are, again and again"
task worker: :environment do
  $stdout.sync = true
  trap("TERM") { exit }
  loop do
    puts "#{Book.count} books"
    sleep 10
  end
end
